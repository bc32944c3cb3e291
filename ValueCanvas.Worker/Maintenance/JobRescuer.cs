using Microsoft.Extensions.Options;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Worker.Maintenance;

/// <summary>Gives jobs whose worker stopped renewing another attempt. Every worker runs it, at no cost to the others.</summary>
internal sealed partial class JobRescuer(
    JobLeases leases,
    JobSignal signal,
    WorkerMetrics metrics,
    IOptions<JobWorkerOptions> options,
    TimeProvider time,
    ILogger<JobRescuer> logger) : BackgroundService
{
    private const int BatchSize = 1000;

    /// <returns>The jobs that were rescued.</returns>
    public async Task<IReadOnlyList<RescuedJob>> RunOnceAsync(CancellationToken cancellationToken)
    {
        var rescued = await leases.RescueAsync(BatchSize, options.Value.MaxCrashes, cancellationToken);
        foreach (var job in rescued)
        {
            metrics.Rescued(job.State);
            Log.Rescued(logger, job.Id, job.State);
        }

        if (rescued.Any(job => job.State == JobState.Retryable))
            await signal.PublishAsync();
        return rescued;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            await Task.Delay(Jitter.Spread(options.Value.RescueInterval), time, stoppingToken);
            try
            {
                await RunOnceAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
            {
                Log.Failed(logger, exception.GetBaseException().Message);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Job {JobId} lost its worker and is {State}")]
        public static partial void Rescued(ILogger logger, Guid jobId, JobState state);

        [LoggerMessage(LogLevel.Warning, "Abandoned jobs could not be looked for: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
