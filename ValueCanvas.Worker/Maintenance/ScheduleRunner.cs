using Microsoft.Extensions.Options;
using ValueCanvas.Core.Jobs.Schedules;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Worker.Maintenance;

/// <summary>Looks for schedules whose time has come. Every worker does; each time is one worker's.</summary>
internal sealed partial class ScheduleRunner(
    JobScheduler scheduler, IOptions<JobWorkerOptions> options, TimeProvider time, ILogger<ScheduleRunner> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            await Task.Delay(Jitter.Spread(options.Value.ScheduleInterval), time, stoppingToken);
            try
            {
                await scheduler.RunOnceAsync(stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
            {
                Log.Failed(logger, exception.GetBaseException().Message);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Schedules could not be looked at: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
