using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Hedging;

/// <summary>Hedges cost what nobody asked for: over five minutes at most a share of the requests.</summary>
internal sealed class HedgeBudget(TimeProvider time) : ShareBudget(time, slot: TimeSpan.FromSeconds(30))
{
    public bool TrySpend(double share) => TrySpend(share, minPerSlot: 0);
}
