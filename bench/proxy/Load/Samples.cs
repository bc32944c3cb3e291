using System.Diagnostics;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Stages;

namespace ValueCanvas.ProxyBench.Load;

/// <summary>Durations in Stopwatch ticks and their percentiles in microseconds.</summary>
internal sealed class Samples
{
    private static readonly string[] Percentiles = ["p50", "p90", "p99", "p999"];
    private readonly List<long> _values = [];

    public int Count => _values.Count;

    public static Samples Of(IEnumerable<Samples> parts)
    {
        var all = new Samples();
        foreach (var part in parts)
            all._values.AddRange(part._values);

        return all;
    }

    /// <summary>Of each percentile the median of the parts that have any values.</summary>
    public static JsonObject MedianOf(IEnumerable<Samples> parts)
    {
        var figures = parts.Where(p => p.Count > 0).Select(p => p.ToJson()).ToArray();
        return new JsonObject(Percentiles.Select(name =>
            KeyValuePair.Create(name, (JsonNode?)Median.Of(figures.Select(f => (double)f[name]!)))));
    }

    public void Add(long ticks) => _values.Add(ticks);

    public void AddRange(Samples other) => _values.AddRange(other._values);

    public int CountAbove(TimeSpan limit) => _values.Count(v => v > limit.TotalSeconds * Stopwatch.Frequency);

    public JsonObject ToJson()
    {
        _values.Sort();
        return new JsonObject
        {
            ["n"] = _values.Count, ["min"] = At(0), ["p50"] = At(0.5), ["p90"] = At(0.9), ["p99"] = At(0.99), ["p999"] = At(0.999),
                ["max"] = At(1),
        };
    }

    private double At(double share) => _values.Count == 0
        ? 0
        : Math.Round(_values[Math.Min((int)(share * _values.Count), _values.Count - 1)] * 1e6 / Stopwatch.Frequency, 1);
}
