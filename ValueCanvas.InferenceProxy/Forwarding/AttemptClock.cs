using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// The time that one attempt has: each wait has its limit, and the limit that ends says what went wrong. The client's leaving ends all of them.
/// One timer serves them all, and is left as it is while the limits only move on: most attempts end before it fires.
/// </summary>
internal sealed class AttemptClock : IDisposable
{
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _cancel = new();
    private readonly CancellationTokenRegistration _clientGone;
    private readonly ITimer _timer;
    private readonly Lock _gate = new();
    private readonly TimeLimits _limits;
    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly bool _streamed;
    private readonly Replica _replica;
    private TimeSpan _limit; // since the start, as the next two
    private TimeSpan _look;
    private TimeSpan _fires;

    public AttemptClock(TimeLimits limits, bool streamed, Replica replica, TimeProvider time, CancellationToken client)
    {
        (_limits, _streamed, _replica, _time, Client) = (limits, streamed, replica, time, client);
        _started = time.GetTimestamp();
        (_limit, Late) = !streamed ? (limits.Total, AttemptFailure.TotalTimeout)
            : limits.FirstToken < limits.Headers ? (limits.FirstToken, AttemptFailure.FirstTokenTimeout)
            : (limits.Headers, AttemptFailure.HeadersTimeout);
        _look = limits.Frozen;
        _fires = Earlier(_limit, _look);
        _clientGone = client.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _cancel);
        lock (_gate)
        {
            _timer = time.CreateTimer(static clock => ((AttemptClock)clock!).Fire(), this, UntilFires(), Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Ends with the client's leaving, not with the attempt's limits.</summary>
    public CancellationToken Client { get; }

    /// <summary>Ends with the limit that runs, and with the client's leaving.</summary>
    public CancellationToken Token => _cancel.Token;

    /// <summary>What it means when the limit ends that runs now.</summary>
    public AttemptFailure Late { get; private set; }

    /// <summary>Since the start.</summary>
    public TimeSpan Elapsed => _time.GetElapsedTime(_started);

    /// <summary>The headers are there: the wait for the first content of a stream goes on.</summary>
    public void AwaitFirstToken()
    {
        if (_streamed)
        {
            Limit(_limits.FirstToken, AttemptFailure.FirstTokenTimeout);
        }
    }

    /// <summary>The first content is there: the server is not frozen.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            _look = TimeSpan.MaxValue;
        }

        Pause();
    }

    /// <summary>The wait for what comes next begins.</summary>
    public void AwaitNext()
    {
        var idle = Elapsed + _limits.Idle;
        if (idle < _limits.Total)
        {
            Limit(idle, AttemptFailure.Stall);
        }
        else
        {
            Limit(_limits.Total, AttemptFailure.TotalTimeout);
        }
    }

    /// <summary>The client may take its time to accept what was read: only the replica is on the clock.</summary>
    public void Pause() => Limit(TimeSpan.MaxValue, Late);

    /// <summary>Ends what is under way, at once and for this reason.</summary>
    public void Abandon(AttemptFailure why)
    {
        Late = why;
        try
        {
            _cancel.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended at the same time.
        }
    }

    /// <summary>What went wrong, unless it did because the client has gone.</summary>
    public AttemptFailure Unless(AttemptFailure failure) => Client.IsCancellationRequested ? AttemptFailure.ClientGone : failure;

    public void Dispose()
    {
        _timer.Dispose();
        _clientGone.Dispose();
        _cancel.Dispose();
    }

    private void Limit(TimeSpan limit, AttemptFailure late)
    {
        lock (_gate)
        {
            (_limit, Late) = (limit, late);
            if (limit < _fires)
            {
                Arm();
            }
        }
    }

    private void Fire()
    {
        bool over, look;
        lock (_gate)
        {
            var now = Elapsed;
            (over, look) = (now >= _limit, now >= _look);
            _look = look ? now + Look : _look;
            _fires = TimeSpan.MaxValue;
            if (!over)
            {
                Arm();
            }
        }

        if (over)
        {
            Abandon(Late);
        }
        else if (look && IsFrozen())
        {
            Abandon(_streamed ? Late : AttemptFailure.HeadersTimeout);
        }
    }

    private void Arm()
    {
        _fires = Earlier(_limit, _look);
        _timer.Change(UntilFires(), Timeout.InfiniteTimeSpan);
    }

    // In whole milliseconds, as timers count, and not a moment too early.
    private TimeSpan UntilFires() => _fires == TimeSpan.MaxValue
        ? Timeout.InfiniteTimeSpan
        : TimeSpan.FromMilliseconds(Math.Max(0, Math.Ceiling((_fires - Elapsed).TotalMilliseconds)));

    // A long answer has no status line for minutes, and neither has a frozen server: the health looks tell one from the other. A hosted provider
    // is not looked at: that it is down says nothing but that another request failed.
    private bool IsFrozen()
    {
        var state = _replica.State;
        return state.Status == ReplicaStatus.Down && !_replica.Upstream.Kind.IsHosted && _time.GetUtcNow() - state.LastChange >= _limits.Frozen;
    }

    private static TimeSpan Earlier(TimeSpan one, TimeSpan other) => one < other ? one : other;
}
