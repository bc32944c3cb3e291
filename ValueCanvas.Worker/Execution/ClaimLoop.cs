using Microsoft.Extensions.Options;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>
/// Claims as many jobs as there are free slots, runs them, and drains when the worker stops. A claim costs as much as several jobs, so it
/// takes what it can get: under load some milliseconds' worth.
/// </summary>
internal sealed partial class ClaimLoop(
    JobLeases leases,
    JobExecutor executor,
    RunningJobs running,
    JobHints hints,
    IOptions<JobWorkerOptions> options,
    TimeProvider time,
    ILogger<ClaimLoop> logger) : BackgroundService
{
    // What an interrupted job needs to notice and to be handed back.
    private static readonly TimeSpan ReleaseBound = TimeSpan.FromSeconds(4);

    // What a claim waits for others to claim with it. Less than anybody notices, and many claims' worth of jobs.
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(10);

    // For so long a worker without a free slot is not worth a word.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(25);

    // A job that was due for so long without a hint's bringing anybody: the hint was lost.
    private static readonly TimeSpan Unhinted = TimeSpan.FromMilliseconds(200);

    private readonly string _workerId = $"{Environment.MachineName}-{Environment.ProcessId}-{Guid.NewGuid().ToString("N")[..8]}";
    private readonly SemaphoreSlim _slots = new(options.Value.Concurrency);
    private readonly HashSet<Task> _tasks = [];
    private long? _claimedAt;
    private bool _failing;

    public override void Dispose()
    {
        base.Dispose();
        _slots.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            var reason = ClaimReason.Hint;
            while (true)
            {
                // 1. Room, then what there is of it.
                var free = await TakeSlotsAsync(reason, stoppingToken);
                hints.Clear();
                _claimedAt = time.GetTimestamp();
                var jobs = await ClaimAsync(free);

                // 2. What there may be beyond it is for others.
                if (jobs.Count < free)
                    _slots.Release(free - jobs.Count);
                else
                    _ = hints.PassOnAsync();
                await StartAsync(jobs, stoppingToken);

                // 3. Until there may be more.
                if (reason == ClaimReason.Poll && jobs.Any(job => job.StartedAt - job.RunAt > Unhinted))
                    hints.Miss();
                reason = jobs.Count == free ? ClaimReason.More
                    : await hints.WaitAsync(jobs.Count > 0, stoppingToken) ? ClaimReason.Hint : ClaimReason.Poll;
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await hints.CloseAsync();
            await DrainAsync();
        }
    }

    /// <returns>How many slots are this claim's now: as many as there are, and at least one.</returns>
    private async Task<int> TakeSlotsAsync(ClaimReason reason, CancellationToken stoppingToken)
    {
        // 1. Jobs that are submitted one after the other are claimed together, once there are many.
        if (reason == ClaimReason.Hint && _claimedAt is { } at && Breath - time.GetElapsedTime(at) is var rest && rest > TimeSpan.Zero)
            await Task.Delay(rest, time, stoppingToken);

        // 2. At least one. Whoever has none for longer is told nothing.
        if (!await _slots.WaitAsync(Patience, stoppingToken))
        {
            await hints.CloseAsync();
            await _slots.WaitAsync(stoppingToken);
            await hints.OpenAsync();
        }

        // 3. Jobs that end together free their slots one by one: a claim for each would cost more than to wait for them.
        var free = 1 + TakeFreeSlots();
        var since = time.GetTimestamp();
        while (reason == ClaimReason.More && 2 * free < options.Value.Concurrency && time.GetElapsedTime(since) < Breath)
        {
            await Task.Delay(Breath / 5, time, stoppingToken);
            free += TakeFreeSlots();
        }

        return free;
    }

    private int TakeFreeSlots()
    {
        var taken = 0;
        while (_slots.Wait(0, CancellationToken.None))
            taken++;
        return taken;
    }

    // What was claimed while the worker began to stop goes back at once.
    private async Task StartAsync(IReadOnlyList<Job> jobs, CancellationToken stoppingToken)
    {
        _tasks.RemoveWhere(task => task.IsCompleted);
        foreach (var job in await PartAsync(jobs))
        {
            var run = new RunningJob(job, options.Value.AttemptTimeout, time);
            running.Add(run);
            if (stoppingToken.IsCancellationRequested)
                run.Interrupt();
            _tasks.Add(Task.Run(() => RunAsync(run), CancellationToken.None));
        }
    }

    // Not cancelled half-way: a claim that commits unseen would wait for its lease to run out.
    private async Task<IReadOnlyList<Job>> ClaimAsync(int limit)
    {
        try
        {
            var jobs = await leases.ClaimAsync(_workerId, limit, options.Value.Lease, CancellationToken.None);
            if (_failing)
                Log.Recovered(logger);
            _failing = false;
            return jobs;
        }
        catch (Exception exception)
        {
            // Said once, not with every poll.
            if (!_failing)
                Log.ClaimFailed(logger, exception);
            _failing = true;
            return [];
        }
    }

    /// <summary>
    /// Of jobs that one more lost worker would end, a worker runs one at a time. One of them may be the cause; those that merely ran beside
    /// it would otherwise go under with it, each time.
    /// </summary>
    private async Task<IReadOnlyList<Job>> PartAsync(IReadOnlyList<Job> jobs)
    {
        var taken = running.Snapshot().Any(run => IsLastChance(run.Job));
        List<Job> parted = new(jobs.Count);
        foreach (var job in jobs)
        {
            if (taken && IsLastChance(job))
            {
                await executor.PutOffAsync(job);
                _slots.Release();
                continue;
            }

            taken |= IsLastChance(job);
            parted.Add(job);
        }

        return parted;
    }

    private bool IsLastChance(Job job) => job.CrashCount > 0 && job.CrashCount >= options.Value.MaxCrashes - 1;

    private async Task RunAsync(RunningJob run)
    {
        try
        {
            await executor.ExecuteAsync(run);
        }
        finally
        {
            running.Remove(run);
            run.Dispose();
            _slots.Release();
        }
    }

    private async Task DrainAsync()
    {
        var drained = Task.WhenAll(_tasks);
        Log.Draining(logger, running.Snapshot().Count);
        try
        {
            await drained.WaitAsync(options.Value.DrainTimeout, time);
        }
        catch (TimeoutException)
        {
            foreach (var run in running.Snapshot())
                run.Interrupt();
        }

        try
        {
            await drained.WaitAsync(ReleaseBound, time);
        }
        catch (TimeoutException)
        {
            Log.Abandoned(logger, running.Snapshot().Count);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "No jobs can be claimed; trying on")]
        public static partial void ClaimFailed(ILogger logger, Exception exception);

        [LoggerMessage(LogLevel.Information, "Jobs can be claimed again")]
        public static partial void Recovered(ILogger logger);

        [LoggerMessage(LogLevel.Information, "Stopping: no new jobs; {Count} are still running")]
        public static partial void Draining(ILogger logger, int count);

        [LoggerMessage(LogLevel.Warning, "{Count} jobs could not be handed back; another worker gets them when their leases run out")]
        public static partial void Abandoned(ILogger logger, int count);
    }
}

/// <summary>Why a worker claims.</summary>
internal enum ClaimReason
{
    /// <summary>It was told that there may be work.</summary>
    Hint,

    /// <summary>It had not been told for long.</summary>
    Poll,

    /// <summary>The claim before brought as many jobs as there was room for.</summary>
    More,
}
