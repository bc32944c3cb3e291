using ValueCanvas.Tests.InferenceProxy;

namespace ValueCanvas.Tests.Infrastructure;

/// <summary>
/// A clock that moves only when a test moves it; timers that fall due on the way fire in their order, periodic ones again and again.
/// </summary>
internal sealed class SteppedClock : TimeProvider
{
    private readonly Lock _gate = new();
    private readonly List<Timer> _timers = [];
    private long _now;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Interlocked.Read(ref _now);

    public override DateTimeOffset GetUtcNow() => new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero).AddTicks(GetTimestamp());

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    public void Advance(TimeSpan by)
    {
        var end = GetTimestamp() + by.Ticks;
        while (Take(end) is { } timer)
            timer.Fire();

        Interlocked.Exchange(ref _now, end);
    }

    /// <summary>Moves on in steps, with a breath of real time after each, until the condition holds.</summary>
    public Task AdvanceUntilAsync(TimeSpan step, Func<bool> condition) => ProxyHost.UntilAsync(() =>
    {
        var done = condition();
        if (!done)
            Advance(step);

        return Task.FromResult(done);
    });

    /// <summary>Waits until somebody waits for the clock, and moves it to when the first timer is due.</summary>
    public async Task AdvanceToNextTimerAsync()
    {
        var due = 0L;
        await ProxyHost.UntilAsync(() =>
        {
            lock (_gate)
            {
                due = _timers.Count > 0 ? _timers.Min(t => t.Due) : 0;
                return Task.FromResult(_timers.Count > 0);
            }
        });
        Advance(TimeSpan.FromTicks(due - GetTimestamp()));
    }

    /// <summary>Whether a timer that fires once is set to this timestamp.</summary>
    public bool IsSet(long due)
    {
        lock (_gate)
            return _timers.Exists(t => t.Due == due && t.Period <= 0);
    }

    private Timer? Take(long end)
    {
        lock (_gate)
        {
            if (_timers.Where(t => t.Due <= end).MinBy(t => t.Due) is not { } timer)
                return null;

            Interlocked.Exchange(ref _now, Math.Max(_now, timer.Due));
            timer.Due += timer.Period;
            if (timer.Period <= 0)
                _timers.Remove(timer);

            return timer;
        }
    }

    private sealed class Timer(SteppedClock clock, TimerCallback callback, object? state) : ITimer
    {
        public long Due { get; set; }

        public long Period { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (clock._gate)
            {
                clock._timers.Remove(this);
                if (dueTime != Timeout.InfiniteTimeSpan)
                {
                    (Due, Period) = (clock._now + dueTime.Ticks, period == Timeout.InfiniteTimeSpan ? 0 : period.Ticks);
                    clock._timers.Add(this);
                }

                return true;
            }
        }

        public void Fire() => callback(state);

        public void Dispose()
        {
            lock (clock._gate)
                clock._timers.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
