using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>The jobs that this process runs; never more than the claim loop has slots for.</summary>
internal sealed class RunningJobs
{
    private readonly Lock _gate = new();
    private readonly HashSet<RunningJob> _jobs = [];

    public IReadOnlyList<RunningJob> Snapshot()
    {
        lock (_gate)
            return [.. _jobs];
    }

    public void Add(RunningJob job)
    {
        lock (_gate)
            _jobs.Add(job);
    }

    public void Remove(RunningJob job)
    {
        lock (_gate)
            _jobs.Remove(job);
    }
}

/// <summary>One attempt: the job as claimed, and what can end it early.</summary>
internal sealed class RunningJob : IDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _deadline;
    private readonly CancellationTokenSource _leaseLost = new();
    private readonly CancellationTokenSource _interrupted = new();
    private readonly CancellationTokenSource _any;
    private bool _disposed;

    /// <param name="job">As claimed.</param>
    /// <param name="attemptTimeout">Most that an attempt may take; less where the job's own deadline comes before.</param>
    /// <param name="time">For the bound.</param>
    public RunningJob(Job job, TimeSpan attemptTimeout, TimeProvider time)
    {
        Job = job;
        // By the database's clock, which set both: this machine's may say another time.
        var left = job.DeadlineAt - job.StartedAt is { } wanted ? (wanted > TimeSpan.Zero ? wanted : TimeSpan.Zero) : TimeSpan.MaxValue;
        EndsAtDeadline = left < attemptTimeout;
        _deadline = new CancellationTokenSource(EndsAtDeadline ? left : attemptTimeout, time);
        _any = CancellationTokenSource.CreateLinkedTokenSource(_deadline.Token, _leaseLost.Token, _interrupted.Token);
    }

    public Job Job { get; }

    /// <summary>Cancelled by whichever comes first.</summary>
    public CancellationToken Token => _any.Token;

    public bool HasLostLease => _leaseLost.IsCancellationRequested;

    public bool IsInterrupted => _interrupted.IsCancellationRequested;

    /// <summary>Whether being overdue means that the job's time is over, not just the attempt's.</summary>
    public bool EndsAtDeadline { get; }

    public bool IsOverdue => _deadline.IsCancellationRequested;

    /// <summary>The job belongs to another worker now.</summary>
    public void LoseLease() => End(_leaseLost);

    /// <summary>This worker is stopping.</summary>
    public void Interrupt() => End(_interrupted);

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _any.Dispose();
            _deadline.Dispose();
            _leaseLost.Dispose();
            _interrupted.Dispose();
        }
    }

    // The attempt may be over by the time somebody ends it.
    private void End(CancellationTokenSource reason)
    {
        lock (_gate)
        {
            if (!_disposed)
                reason.Cancel();
        }
    }
}
