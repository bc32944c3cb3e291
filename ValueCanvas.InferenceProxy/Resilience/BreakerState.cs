namespace ValueCanvas.InferenceProxy.Resilience;

internal enum BreakerState
{
    Closed,
    Open,
    HalfOpen,

    /// <summary>Opened by an operator.</summary>
    ForcedOpen,
}

/// <summary>How an attempt counts. Client errors and clients that leave are neutral.</summary>
internal enum BreakerVerdict
{
    Neutral,
    Success,
    Failure,
}

/// <summary>A request that was let through; a probe takes one of a few places until it has begun to be answered.</summary>
internal readonly record struct BreakerPass(Breaker Breaker, int Epoch, bool Probe, bool Begun = false);

internal readonly record struct BreakerWait(TimeSpan Time, bool RateLimited);

internal sealed record BreakerTransition(
    string Replica, string Model, BreakerState From, BreakerState To, string Reason, DateTimeOffset At);

/// <summary>What operators see: counts are those of the window, the newest transition stands first.</summary>
internal sealed record BreakerView(
    string Model,
    string State,
    int Samples,
    int Failures,
    double FailureRatio,
    int Slow,
    int Consecutive,
    DateTimeOffset? OpenUntil,
    DateTimeOffset? CoolingUntil,
    string? LastFailure,
    IReadOnlyList<BreakerTransitionView> Transitions);

internal sealed record BreakerTransitionView(string From, string To, string Reason, DateTimeOffset At);

internal static class BreakerStateNames
{
    public static string Label(this BreakerState state) => state switch
    {
        BreakerState.Open => "open",
        BreakerState.HalfOpen => "half_open",
        BreakerState.ForcedOpen => "forced_open",
        _ => "closed",
    };
}
