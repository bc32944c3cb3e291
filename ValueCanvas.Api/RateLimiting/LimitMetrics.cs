using System.Diagnostics.Metrics;
using ValueCanvas.Api.RateLimiting.Events;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>What the limits decide, by policy, and where it was counted.</summary>
internal sealed class LimitMetrics(IMeterFactory meters, LimitEvents events)
{
    public const string MeterName = "ValueCanvas.RateLimiting";

    private readonly Counter<long> _decisions = meters.Create(MeterName).CreateCounter<long>(
        "valuecanvas.rate_limit.decisions",
        "{decision}",
        "Looks at a policy; outcome: admitted, near (admitted, but most of the limit is used), refused, shadow (would be); "
        + "store: redis or memory.");

    public void Count(LimitDecision decision)
    {
        foreach (var reading in decision.Readings)
        {
            var outcome = (reading.Denied, reading.Charge.Policy.Shadow) switch
            {
                (true, true) => "shadow",
                (true, false) => "refused",
                _ => events.IsNear(reading) ? "near" : "admitted",
            };
            _decisions.Add(
                1,
                new("policy", reading.Charge.Policy.Name),
                new("outcome", outcome),
                new("store", decision.Counted ? "redis" : "memory"));
        }
    }
}
