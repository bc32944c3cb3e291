using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Accounts;

/// <summary>One attempt in a call's accounts.</summary>
internal sealed class AttemptAccount(RunningAttempt running)
{
    private readonly int _busyAtStart = Busy(running);
    private TimeSpan? _took;
    private int _busyAtEnd;

    public RunningAttempt Running => running;

    /// <summary>The client got its content, or a part of it.</summary>
    public bool IsAnswer { get; set; }

    public bool HasEnded => _took is not null;

    public Usage? Usage => running.Attempt.Usage;

    public string End => HasEnded ? running.Failure.Label() : "running";

    public TimeSpan Took => _took ?? running.Attempt.Elapsed;

    /// <summary>Its part of the replica's time: how long it took, over the requests that shared the replica meanwhile. Zero for servers
    /// that are not ours.</summary>
    public TimeSpan ReplicaTime => running.Target.Replica.Upstream.Kind.IsHosted
        ? TimeSpan.Zero
        : 2 * Took / (_busyAtStart + (HasEnded ? _busyAtEnd : Busy(running)));

    public void Ended() => (_took, _busyAtEnd) = (running.Attempt.Elapsed, Busy(running));

    // Itself included.
    private static int Busy(RunningAttempt running)
    {
        var load = running.Target.Replica.Load;
        return Math.Max(1, load.InFlight + (load.Live?.Foreign ?? 0));
    }
}
