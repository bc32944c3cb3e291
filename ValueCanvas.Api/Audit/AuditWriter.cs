using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Audit;

/// <summary>Writes the queue's rows in groups. A database that is away is waited for, also by the end of the service for a while.</summary>
internal sealed partial class AuditWriter(
    AuditLog audit, AuditQueue queue, NpgsqlDataSource dataSource, AuditMetrics metrics, IOptions<AuditOptions> options, TimeProvider time,
    ILogger<AuditWriter> logger)
    : BackgroundService
{
    private const int MostInAGroup = 500;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var group = new List<AuditRow>(MostInAGroup);
        try
        {
            while (await queue.WaitAsync(stoppingToken))
            {
                while (group.Count < MostInAGroup && queue.TryTake(out var row))
                    group.Add(row);
                await WriteAsync(group, stoppingToken);
                group.Clear();
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The time is up: what is left is told to the log.
            group.ForEach(queue.Lose);
            while (queue.TryTake(out var row))
                queue.Lose(row);
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        audit.Flush();
        queue.Close();
        using var bound = new CancellationTokenSource(options.Value.StopTimeout, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        await (ExecuteTask ?? Task.CompletedTask).WaitAsync(joined.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await base.StopAsync(CancellationToken.None);
    }

    private async Task WriteAsync(List<AuditRow> group, CancellationToken cancellationToken)
    {
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            try
            {
                await AuditSql.InsertAsync(dataSource, group, cancellationToken);
                metrics.Written(group.Count);
                return;
            }
            catch (Exception e) when (DatabaseErrors.IsUnavailable(e))
            {
                Log.Waiting(logger, group.Count, e.GetType().Name);
                await Task.Delay(pause, time, cancellationToken);
            }
            catch (PostgresException) when (group.Count > 1)
            {
                // One of them cannot be written: the others can.
                foreach (var row in group)
                    await WriteAsync([row], cancellationToken);
                return;
            }
            catch (PostgresException e)
            {
                Log.Refused(logger, e.SqlState, e.ConstraintName);
                queue.Lose(group[0]);
                return;
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "{Count} rows of the audit log wait for the database: {ExceptionType}")]
        public static partial void Waiting(ILogger logger, int count, string exceptionType);

        [LoggerMessage(LogLevel.Error, "The database refuses a row of the audit log: {SqlState} {Constraint}")]
        public static partial void Refused(ILogger logger, string sqlState, string? constraint);
    }
}
