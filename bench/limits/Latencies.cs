using System.Text.Json.Nodes;

namespace ValueCanvas.LimitsBench;

/// <summary>Times in microseconds, each counted; percentiles by rank.</summary>
internal sealed class Latencies(int room = 0)
{
    private readonly List<double> _micros = new(room);

    public int Count => _micros.Count;

    public void Add(TimeSpan time) => _micros.Add(time.TotalMicroseconds);

    public static Latencies Merge(IEnumerable<Latencies> all)
    {
        var merged = new Latencies();
        foreach (var one in all)
            merged._micros.AddRange(one._micros);
        merged._micros.Sort();
        return merged;
    }

    public static Latencies Of(double[] micros)
    {
        var all = new Latencies();
        all._micros.AddRange(micros);
        all._micros.Sort();
        return all;
    }

    public JsonObject ToJson() => new()
    {
        ["p50_us"] = Rank(0.5),
        ["p90_us"] = Rank(0.9),
        ["p99_us"] = Rank(0.99),
        ["p999_us"] = Rank(0.999),
        ["max_us"] = Rank(1),
    };

    private double Rank(double share) =>
        _micros.Count == 0 ? double.NaN
            : Math.Round(_micros[Math.Clamp((int)Math.Ceiling(share * _micros.Count) - 1, 0, _micros.Count - 1)], 1);
}
