namespace ValueCanvas.Core.Health;

/// <summary>
/// Asks a dependency whether it is there, for at most <paramref name="bound"/>. Clients may not give up on a frozen server themselves: a
/// probe that is still unanswered is waited for again instead of starting another, and given up after ten bounds.
/// </summary>
internal sealed class BoundedProbe(Func<CancellationToken, Task> probe, TimeSpan bound, TimeProvider time)
{
    private readonly Lock _gate = new();
    private Task? _pending;
    private long _startedAt;

    /// <exception cref="TimeoutException">There was no answer within the bound.</exception>
    public Task RunAsync(CancellationToken cancellationToken)
    {
        Task pending;
        lock (_gate)
        {
            if (_pending is null or { IsCompleted: true } || time.GetElapsedTime(_startedAt) > 10 * bound)
            {
                _startedAt = time.GetTimestamp();
                // Shared by callers, so no caller's cancellation may end it.
                _pending = probe(CancellationToken.None);
            }

            pending = _pending;
        }

        return pending.WaitAsync(bound, time, cancellationToken);
    }
}
