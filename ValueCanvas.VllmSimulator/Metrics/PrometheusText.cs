using System.Globalization;
using System.Text;

namespace ValueCanvas.VllmSimulator.Metrics;

/// <summary>Writes the Prometheus text format as Python's client does, every sample with vLLM's labels engine and model_name.</summary>
internal sealed class PrometheusText(string model)
{
    private readonly StringBuilder _text = new(16 * 1024);
    private readonly string _labels = $"engine=\"0\",model_name=\"{Escape(model)}\"";

    public void Header(string name, string help, string type) =>
        _text.Append("# HELP ").Append(name).Append(' ').Append(help).Append('\n').Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

    public void Gauge(string name, string help, double value)
    {
        Header(name, help, "gauge");
        Sample(name, value);
    }

    public void Counter(string name, string help, long value)
    {
        Header($"{name}_total", help, "counter");
        Sample($"{name}_total", value);
    }

    public void Sample(string name, double value, params ReadOnlySpan<(string Name, string Value)> labels)
    {
        _text.Append(name).Append('{').Append(_labels);
        foreach (var (label, text) in labels)
            _text.Append(',').Append(label).Append("=\"").Append(Escape(text)).Append('"');
        _text.Append("} ").Append(Number(value)).Append('\n');
    }

    public void Info(string name, string help, params ReadOnlySpan<(string Name, string Value)> labels)
    {
        Header(name, help, "gauge");
        _text.Append(name).Append('{');
        var first = true;
        foreach (var (label, text) in labels)
        {
            _text.Append(first ? "" : ",").Append(label).Append("=\"").Append(Escape(text)).Append('"');
            first = false;
        }
        _text.Append("} 1.0\n");
    }

    public override string ToString() => _text.ToString();

    public static string Number(double value)
    {
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        return text.AsSpan().IndexOfAny(".E") < 0 ? $"{text}.0" : text;
    }

    private static string Escape(string value) => value.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n");
}
