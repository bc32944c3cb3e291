using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting.Memory;

/// <summary>The arithmetic that Redis' script does, with the same numbers: integer microseconds, rounded against who asks.</summary>
internal static class LimitMath
{
    /// <summary>
    /// While Redis may be counting for others, memory admits a quarter of a limit, all instances together: so whatever each of the two
    /// knows of the other, no more than 1.25 times the limit passes.
    /// </summary>
    public const int Quarter = 4;

    public const long ConcurrencyWait = 1_000_000;

    /// <summary>Token bucket: the time that an amount takes to refill.</summary>
    public static long Increment(long amount, long limit, long window) => (long)Math.Ceiling((double)amount * window / limit);

    public static long Refill(long amount, long limit, long window) => (long)Math.Floor((double)amount * window / limit);

    public static long Remaining(long time, long limit, long window) => Math.Max(0, (long)Math.Floor((double)time * limit / window));

    /// <summary>A window is counted by hundredths, a fixed one by tenths: the width of one.</summary>
    public static long Slot(LimitAlgorithm algorithm, long window)
    {
        var slots = algorithm == LimitAlgorithm.FixedWindow ? 10 : 100;
        return (window + slots - 1) / slots;
    }
}
