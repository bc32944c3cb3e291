using Microsoft.Extensions.Options;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>Claims as many jobs as there are free slots, runs them, and drains when the worker stops.</summary>
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

    private readonly string _workerId = $"{Environment.MachineName}-{Environment.ProcessId}-{Guid.NewGuid().ToString("N")[..8]}";
    private readonly SemaphoreSlim _slots = new(options.Value.Concurrency);
    private readonly HashSet<Task> _tasks = [];
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
            var told = true;
            while (true)
            {
                var (found, more) = await RunOnceAsync(stoppingToken);
                if (found && !told)
                    hints.Miss();
                told = more || await hints.WaitAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await DrainAsync();
        }
    }

    /// <returns>Whether there were jobs, and whether there may be more at once.</returns>
    private async Task<(bool Found, bool More)> RunOnceAsync(CancellationToken stoppingToken)
    {
        // 1. At least one free slot, then as many as there are.
        await _slots.WaitAsync(stoppingToken);
        var free = 1;
        while (_slots.Wait(0, CancellationToken.None))
            free++;
        _tasks.RemoveWhere(task => task.IsCompleted);

        // 2. Claim. Not cancelled half-way: a claim that commits unseen would wait for its lease to run out.
        var jobs = await ClaimAsync(free);
        if (jobs.Count < free)
            _slots.Release(free - jobs.Count);

        // 3. Run them. What was claimed while the worker began to stop goes back at once.
        foreach (var job in await PartAsync(jobs))
        {
            var run = new RunningJob(job, options.Value.AttemptTimeout, time);
            running.Add(run);
            if (stoppingToken.IsCancellationRequested)
                run.Interrupt();
            _tasks.Add(Task.Run(() => RunAsync(run), CancellationToken.None));
        }

        return (jobs.Count > 0, jobs.Count == free);
    }

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
