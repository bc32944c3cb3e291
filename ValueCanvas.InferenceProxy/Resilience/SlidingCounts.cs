namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>Counts of samples, failures and slow calls over a window that slides in tenths. Not thread-safe; its owner locks.</summary>
internal sealed class SlidingCounts
{
    private const int Slots = 10;

    private readonly (int Samples, int Failures, int Slow)[] _slots = new (int, int, int)[Slots];
    private long _newest;

    public int Samples { get; private set; }

    public int Failures { get; private set; }

    public int Slow { get; private set; }

    public double FailureRatio => Samples == 0 ? 0 : (double)Failures / Samples;

    public double SlowRatio => Samples == 0 ? 0 : (double)Slow / Samples;

    public void Add(bool failed, bool slow, TimeSpan now, TimeSpan window)
    {
        Slide(now, window);
        ref var slot = ref _slots[_newest % Slots];
        slot = (slot.Samples + 1, slot.Failures + (failed ? 1 : 0), slot.Slow + (slow ? 1 : 0));
        (Samples, Failures, Slow) = (Samples + 1, Failures + (failed ? 1 : 0), Slow + (slow ? 1 : 0));
    }

    /// <summary>Forgets what is older than the window. <paramref name="now"/> is time since any fixed moment.</summary>
    public void Slide(TimeSpan now, TimeSpan window)
    {
        var current = now.Ticks / Math.Max(1, window.Ticks / Slots);
        if (current < _newest || current - _newest >= Slots)
        {
            // Long ago, or the window's length has changed with the configuration.
            Clear();
            _newest = current;
            return;
        }

        while (_newest < current)
        {
            ref var slot = ref _slots[++_newest % Slots];
            (Samples, Failures, Slow) = (Samples - slot.Samples, Failures - slot.Failures, Slow - slot.Slow);
            slot = default;
        }
    }

    public void Clear()
    {
        Array.Clear(_slots);
        (Samples, Failures, Slow) = (0, 0, 0);
    }
}
