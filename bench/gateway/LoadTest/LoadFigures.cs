using System.Globalization;

namespace ValueCanvas.GatewayBench.LoadTest;

/// <summary>
/// What a run has come to; shares are of all requests. What the mix allows: every request but the first of each prompt is a hit.
/// </summary>
internal sealed record LoadFigures(
    int Requests, double AnsweredPerSecond, double P50Milliseconds, double P95Milliseconds, double P99Milliseconds, double ErrorShare,
    double HitShare, double AllowedHitShare)
{
    public string Text() => string.Create(CultureInfo.InvariantCulture,
        $"""
        requests     {Requests}, {AnsweredPerSecond:0.0} answered/s
        latency      p50 {P50Milliseconds:0} ms, p95 {P95Milliseconds:0} ms, p99 {P99Milliseconds:0} ms
        errors       {ErrorShare * 100:0.00} %
        cache hits   {HitShare * 100:0.0} %; the mix allows {AllowedHitShare * 100:0.0} %
        """);

    public IEnumerable<string> Missed(Mix mix)
    {
        if (P95Milliseconds >= 5000)
            yield return "p95 < 5 s";
        if (P99Milliseconds >= 10_000)
            yield return "p99 < 10 s";
        if (ErrorShare >= 0.05)
            yield return "errors < 5 %";
        if (AnsweredPerSecond <= Math.Min(100, mix.RequestsPerSecond * 0.9))
            yield return "more than 100 answered a second";
        if (HitShare <= 0.30)
            yield return "hits > 30 %";
        if (HitShare < 0.95 * AllowedHitShare)
            yield return "hits at least 95 % of what the mix allows";
    }
}
