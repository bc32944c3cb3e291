namespace ValueCanvas.Api.RateLimiting.Memory;

/// <summary>The arithmetic that Redis' script does, with the same numbers: integer microseconds, rounded against who asks.</summary>
internal static class LimitMath
{
    public const int Slots = 100;

    public const long ConcurrencyWait = 1_000_000;

    /// <summary>Token bucket: the time that an amount takes to refill.</summary>
    public static long Increment(long amount, long limit, long window) => (long)Math.Ceiling((double)amount * window / limit);

    public static long Refill(long amount, long limit, long window) => (long)Math.Floor((double)amount * window / limit);

    public static long Remaining(long time, long limit, long window) => Math.Max(0, (long)Math.Floor((double)time * limit / window));

    /// <summary>Sliding window: the width of a slot.</summary>
    public static long Slot(long window) => (window + Slots - 1) / Slots;
}
