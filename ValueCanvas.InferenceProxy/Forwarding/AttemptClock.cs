using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>
/// The time that one attempt has: each wait has its limit, and the limit that ends says what went wrong.
/// The client's leaving ends all of them.
/// </summary>
internal sealed class AttemptClock : IDisposable
{
    private readonly CancellationTokenSource _cancel;
    private readonly CancellationTokenRegistration _clientGone;
    private readonly ITimer _watch;
    private readonly TimeLimits _limits;
    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly bool _streamed;
    private readonly Replica _replica;
    private volatile bool _hasBegun;

    public AttemptClock(TimeLimits limits, bool streamed, Replica replica, TimeProvider time, CancellationToken client)
    {
        (_limits, _streamed, _replica, _time, Client) = (limits, streamed, replica, time, client);
        _started = time.GetTimestamp();
        (var first, Late) = !streamed ? (limits.Total, AttemptFailure.TotalTimeout)
            : limits.FirstToken < limits.Headers ? (limits.FirstToken, AttemptFailure.FirstTokenTimeout)
            : (limits.Headers, AttemptFailure.HeadersTimeout);
        _cancel = new CancellationTokenSource(first, time);
        _clientGone = client.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _cancel);
        // A long answer has no status line for minutes, and neither has a frozen server: the health looks tell one from the other.
        _watch = time.CreateTimer(static clock => ((AttemptClock)clock!).GiveUpOnFrozen(), this, limits.Frozen, TimeSpan.FromSeconds(1));
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
            Limit(_limits.FirstToken - Elapsed, AttemptFailure.FirstTokenTimeout);
    }

    /// <summary>The first content is there: the server is not frozen.</summary>
    public void Begin()
    {
        _hasBegun = true;
        _watch.Dispose();
        Pause();
    }

    /// <summary>The wait for what comes next begins.</summary>
    public void AwaitNext()
    {
        var left = _limits.Total - Elapsed;
        Limit(left < _limits.Idle ? left : _limits.Idle, left < _limits.Idle ? AttemptFailure.TotalTimeout : AttemptFailure.Stall);
    }

    /// <summary>The client may take its time to accept what was read: only the replica is on the clock.</summary>
    public void Pause() => _cancel.CancelAfter(Timeout.InfiniteTimeSpan);

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
        _watch.Dispose();
        _clientGone.Dispose();
        _cancel.Dispose();
    }

    private void GiveUpOnFrozen()
    {
        // A hosted provider is not looked at: that it is down says nothing but that another request failed.
        var state = _replica.State;
        if (state.Status == ReplicaStatus.Down && !_replica.Upstream.Kind.IsHosted && !_hasBegun
            && _time.GetUtcNow() - state.LastChange >= _limits.Frozen)
        {
            Abandon(_streamed ? Late : AttemptFailure.HeadersTimeout);
        }
    }

    private void Limit(TimeSpan limit, AttemptFailure late)
    {
        Late = late;
        _cancel.CancelAfter(limit > TimeSpan.Zero ? limit : TimeSpan.Zero);
    }
}
