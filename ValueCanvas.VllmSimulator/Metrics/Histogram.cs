namespace ValueCanvas.VllmSimulator.Metrics;

/// <summary>A Prometheus histogram; its owner's lock guards it.</summary>
internal sealed class Histogram(string name, string help, double[] bounds)
{
    private readonly long[] _counts = new long[bounds.Length + 1];
    private double _sum;

    public void Observe(double value, long times = 1)
    {
        var bucket = Array.BinarySearch(bounds, value);
        _counts[bucket < 0 ? ~bucket : bucket] += times;
        _sum += value * times;
    }

    public void Write(PrometheusText text)
    {
        text.Header(name, help, "histogram");
        var cumulative = 0L;
        for (var i = 0; i < bounds.Length; i++)
        {
            cumulative += _counts[i];
            text.Sample($"{name}_bucket", cumulative, ("le", PrometheusText.Number(bounds[i])));
        }
        cumulative += _counts[^1];
        text.Sample($"{name}_bucket", cumulative, ("le", "+Inf"));
        text.Sample($"{name}_count", cumulative);
        text.Sample($"{name}_sum", _sum);
    }
}
