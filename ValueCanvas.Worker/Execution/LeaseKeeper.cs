using Microsoft.Extensions.Options;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>
/// Renews the leases of all running jobs in one statement, and stops those that were given to another worker. Registered before the claim
/// loop, so it goes on while that drains.
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

        var renewed = await leases.RenewAsync([.. held.Select(run => run.Job)], options.Value.Lease, cancellationToken);
        // A job that ended meanwhile is no longer running in the table either.
        foreach (var lost in running.Snapshot().Where(run => held.Contains(run) && !renewed.Contains(run.Job.Id)))
            lost.LoseLease();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            await Task.Delay(options.Value.Heartbeat, time, stoppingToken);
            try
            {
                await RunOnceAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
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
