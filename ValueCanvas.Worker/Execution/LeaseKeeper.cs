using Microsoft.Extensions.Options;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>
/// Renews the leases of all running jobs in one statement, and stops those that were called off or given to another worker; between two
/// renewals it only looks, so that a job that is called off stops within a second, whether Redis is there or not. Registered before the
/// claim loop, so it goes on while that drains.
/// </summary>
internal sealed partial class LeaseKeeper(
    RunningJobs running,
    JobLeases leases,
    IOptions<JobWorkerOptions> options,
    TimeProvider time,
    ILogger<LeaseKeeper> logger) : BackgroundService
{
    public async Task RunOnceAsync(CancellationToken cancellationToken)
    {
        var held = running.Snapshot();
        if (held.Count == 0)
            return;

        // A job that ended meanwhile is no longer running in the table either.
        var renewed = await leases.RenewAsync([.. held.Select(run => run.Job)], options.Value.Lease, cancellationToken);
        foreach (var lost in running.Snapshot().Where(run => held.Contains(run) && !renewed.Contains(run.Job.Id)))
            lost.LoseLease();
    }

    public async Task LookAsync(CancellationToken cancellationToken)
    {
        var held = running.Snapshot();
        if (held.Count == 0)
            return;

        var lost = await leases.FindLostAsync([.. held.Select(run => run.Job)], cancellationToken);
        foreach (var run in held.Where(run => lost.Contains(run.Job.Id)))
            run.LoseLease();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var renewedAt = time.GetTimestamp();
        while (true)
        {
            var look = options.Value.CancelInterval < options.Value.Heartbeat ? options.Value.CancelInterval : options.Value.Heartbeat;
            await Task.Delay(look, time, stoppingToken);
            try
            {
                if (time.GetElapsedTime(renewedAt) + (look / 2) < options.Value.Heartbeat)
                {
                    await LookAsync(stoppingToken);
                    continue;
                }

                renewedAt = time.GetTimestamp();
                await RunOnceAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
            {
                // The leases may run out; whoever holds the jobs then, the fence decides whose result counts.
                Log.Failed(logger, exception);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Leases could not be renewed")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
