using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>An attempt at a target that <see cref="AttemptRunner"/> has started. Its first content is awaited; then it is adopted, and its
/// answer relayed, or not; and it is judged at its one end, whichever way that comes.</summary>
internal sealed class RunningAttempt(
    AttemptRunner runner, ForwardedCall call, ForwardedCall.Target target, Attempt attempt, Task<AttemptFailure> firstContent) : IDisposable
{
    private bool _ended;
    private bool _disposed;

    public ForwardedCall Call => call;

    public ForwardedCall.Target Target => target;

    /// <summary>The answer and its reading.</summary>
    public Attempt Attempt => attempt;

    /// <summary>None when there is content to relay, else why there is not.</summary>
    public Task<AttemptFailure> FirstContent => firstContent;

    /// <summary>The proxy's own second attempt at a slow stream: what it costs is not the caller's.</summary>
    public bool IsHedge { get; init; }

    /// <summary>What the breaker is told the end of.</summary>
    public BreakerPass Pass { get; set; } = target.Pass;

    /// <summary>What became of it, as far as is known. Until more is, its client has gone: that is what an exception out of a write
    /// means.</summary>
    public AttemptFailure Failure { get; set; } = AttemptFailure.ClientGone;

    /// <summary>The status that the client gets from it; zero while it gets none.</summary>
    public int Status { get; set; }

    /// <summary>It declined, and its answer may yet be needed: it is over, but for that, until the call is.</summary>
    public bool IsKept { get; set; }

    /// <summary>Judges the attempt, once: what comes later changes nothing.</summary>
    public void End()
    {
        if (!_ended)
        {
            _ended = true;
            runner.Ended(this);
        }
    }

    public void Dispose()
    {
        End();
        if (!IsKept && !_disposed)
        {
            _disposed = true;
            runner.Answered(this);
            attempt.Dispose();
        }
    }
}
