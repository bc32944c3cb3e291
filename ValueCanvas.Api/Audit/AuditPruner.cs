using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Audit;

/// <summary>Removes, once an hour, the rows whose time is over. Each instance tries; together they remove no more than one.</summary>
internal sealed partial class AuditPruner(
    NpgsqlDataSource dataSource, IOptions<AuditOptions> options, AuditLog audit, TimeProvider time, ILogger<AuditPruner> logger)
    : BackgroundService
{
    private const int MostAtOnce = 5_000;
    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await PruneAsync(stoppingToken);
            }
            catch (Exception e) when (e is NpgsqlException || DatabaseErrors.IsUnavailable(e))
            {
                Log.Later(logger, e.GetType().Name);
            }
        }
    }

    public async Task<long> PruneAsync(CancellationToken cancellationToken)
    {
        long removed = 0;
        int step;
        do
        {
            await using var command = dataSource.CreateCommand("SELECT prune_audit_log($1, $2, $3)");
            command.Parameters.Add(new() { Value = options.Value.Retention });
            command.Parameters.Add(new() { Value = options.Value.DeniedRetention });
            command.Parameters.Add(new() { Value = MostAtOnce });
            step = (int)(await command.ExecuteScalarAsync(cancellationToken))!;
            removed += step;
        }
        while (step == MostAtOnce);

        if (removed > 0)
        {
            audit.Record(null, new(
                "audit.pruned") { Details = [("rows", removed.ToString(System.Globalization.CultureInfo.InvariantCulture))] });
        }

        return removed;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "The audit log is pruned an hour later: {ExceptionType}")]
        public static partial void Later(ILogger logger, string exceptionType);
    }
}
