using Microsoft.Extensions.Options;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Worker.Maintenance;

/// <summary>
/// Ends jobs whose deadline has passed or whose parent has ended, measures the queue, and removes those that ended long ago. Every worker
/// runs it; what one does, another skips.
/// </summary>
internal sealed partial class JobUpkeep(
    JobLeases leases, WorkerMetrics metrics, IOptions<JobWorkerOptions> options, TimeProvider time, ILogger<JobUpkeep> logger)
    : BackgroundService
{
    private const int BatchSize = 1000;
    private static readonly TimeSpan PruneInterval = TimeSpan.FromMinutes(5);

    public async Task ExpireAsync(CancellationToken cancellationToken)
    {
        if (await leases.ExpireAsync(BatchSize, cancellationToken) is > 0 and var expired)
            Log.Expired(logger, expired);
        await leases.CancelOrphansAsync(BatchSize, cancellationToken);
    }

    public async Task PruneAsync(CancellationToken cancellationToken)
    {
        while (await leases.PruneAsync(options.Value.Retention, options.Value.FailedRetention, BatchSize, cancellationToken) == BatchSize)
            cancellationToken.ThrowIfCancellationRequested();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var prunedAt = time.GetTimestamp();
        while (true)
        {
            await Task.Delay(Jitter.Spread(options.Value.RescueInterval), time, stoppingToken);
            try
            {
                await ExpireAsync(stoppingToken);
                metrics.Measured(await leases.MeasureAsync(stoppingToken));
                if (time.GetElapsedTime(prunedAt) < PruneInterval)
                    continue;
                prunedAt = time.GetTimestamp();
                await PruneAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
            {
                Log.Failed(logger, exception.GetBaseException().Message);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "{Count} jobs had not succeeded by their deadline")]
        public static partial void Expired(ILogger logger, int count);

        [LoggerMessage(LogLevel.Warning, "The queue's upkeep could not be done: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
