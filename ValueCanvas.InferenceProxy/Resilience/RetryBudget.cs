namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>
/// Further attempts are paid from a budget, so that an outage is not multiplied: over ten seconds at most a share of the requests, and
/// whatever the share a few in every second.
/// </summary>
internal sealed class RetryBudget(TimeProvider time) : ShareBudget(time, slot: TimeSpan.FromSeconds(1))
{
    public bool TrySpend(RetryOptions options) => TrySpend(options.Ratio, options.MinPerSecond);
}
