using System.Globalization;
using System.Text;
using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>
/// Tells a client how its limits stand: <c>RateLimit</c> and <c>RateLimit-Policy</c> (draft-ietf-httpapi-ratelimit-headers-10) for each
/// policy, and OpenAI's <c>x-ratelimit-*</c> for the tightest of each unit.
/// </summary>
internal static class LimitHeaders
{
    public static void Write(IHeaderDictionary headers, LimitDecision decision)
    {
        var shown = decision.Readings.Where(reading => !reading.Charge.Policy.Shadow).ToArray();
        if (shown.Length == 0)
            return;
        headers["RateLimit-Policy"] = string.Join(", ", shown.Select(Policy));
        headers["RateLimit"] = string.Join(", ", shown.Select(Limit));
        foreach (var (unit, name) in (ReadOnlySpan<(LimitUnit, string)>)[(LimitUnit.Requests, "requests"), (LimitUnit.Tokens, "tokens")])
        {
            var readings = shown.Where(reading => reading.Charge.Policy.Unit == unit).ToArray();
            if (readings.Length == 0)
                continue;
            var tightest = readings.MinBy(reading => (double)reading.Remaining / Math.Max(1, reading.Charge.Limit));
            headers[$"x-ratelimit-limit-{name}"] = Number(tightest.Charge.Limit);
            headers[$"x-ratelimit-remaining-{name}"] = Number(tightest.Remaining);
            headers[$"x-ratelimit-reset-{name}"] = Duration(tightest.Reset);
        }

        if (decision.Binding is { Wait: > 0 } binding)
            headers["retry-after-ms"] = Number((binding.Wait + 999) / 1000);
    }

    private static string Policy(Reading reading)
    {
        var policy = reading.Charge.Policy;
        var unit = policy.Algorithm == LimitAlgorithm.Concurrency ? ";qu=\"concurrent-requests\""
            : policy.Unit == LimitUnit.Tokens ? ";qu=\"tokens\"" : "";
        var window = policy.Algorithm == LimitAlgorithm.Concurrency ? "" : $";w={Seconds(policy.WindowMicros)}";
        return $"\"{policy.Name}\";q={Number(reading.Charge.Limit)}{window}{unit}";
    }

    private static string Limit(Reading reading)
    {
        var time = reading.Denied && reading.Wait > 0 ? reading.Wait : reading.Reset;
        return $"\"{reading.Charge.Policy.Name}\";r={Number(reading.Remaining)}" + (time > 0 ? $";t={Seconds(time)}" : "");
    }

    private static string Seconds(long micros) => Number((micros + 999_999) / 1_000_000);

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>As OpenAI writes it: 6m0s, 1.2s, 20ms.</summary>
    internal static string Duration(long micros)
    {
        var ms = Math.Max(0, (micros + 999) / 1000);
        if (ms < 1000)
            return string.Create(CultureInfo.InvariantCulture, $"{ms}ms");
        var text = new StringBuilder();
        if (ms >= 3_600_000)
            text.Append(CultureInfo.InvariantCulture, $"{ms / 3_600_000}h");
        if (ms >= 60_000)
            text.Append(CultureInfo.InvariantCulture, $"{ms / 60_000 % 60}m");
        return text.Append(CultureInfo.InvariantCulture, $"{ms % 60_000 / 1000.0:0.###}s").ToString();
    }
}
