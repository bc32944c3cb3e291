namespace ValueCanvas.Core.Inference;

/// <summary>A deadline that is moved with every sign of life, joined with the caller's cancellation.</summary>
internal sealed class ProgressBound : IDisposable
{
    private readonly CancellationTokenSource _deadline;
    private readonly CancellationTokenSource _joined;
    private readonly CancellationToken _caller;
    private string _waitedFor;

    public ProgressBound(TimeSpan first, string waitedFor, TimeProvider time, CancellationToken caller)
    {
        _caller = caller;
        _waitedFor = waitedFor;
        _deadline = new CancellationTokenSource(first, time);
        _joined = CancellationTokenSource.CreateLinkedTokenSource(_deadline.Token, caller);
    }

    public CancellationToken Token => _joined.Token;

    public void Next(TimeSpan bound, string waitedFor)
    {
        _waitedFor = waitedFor;
        _deadline.CancelAfter(bound);
    }

    /// <summary>True where the bound, and not the caller, ended the wait.</summary>
    public bool Expired => _deadline.IsCancellationRequested && !_caller.IsCancellationRequested;

    public InferenceException ToException(Exception cause) =>
        new(
            InferenceFailure.Timeout,
            $"The model servers did not send {_waitedFor} in time. Try again, or ask for a shorter answer.",
            cause);

    public void Dispose()
    {
        _joined.Dispose();
        _deadline.Dispose();
    }
}
