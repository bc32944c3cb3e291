using System.Diagnostics;
using System.Text.Json.Nodes;

namespace ValueCanvas.ProxyBench.Load;

/// <summary>Durations in Stopwatch ticks and their percentiles in microseconds.</summary>
internal sealed class Samples
{
    private readonly List<long> _values = [];

    public int Count => _values.Count;

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
