using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace ValueCanvas.Core.Caching.Records;

/// <summary>
/// Writes entries and counts to PostgreSQL in groups, off every request's path, and prunes what is old. What is taken is written one round
/// later: whoever was about to count has done so by then, and what an answer cost is known.
/// </summary>
internal sealed partial class RecordWriter(
    CacheRecords records, ResponseCacheOptions options, CacheMetrics metrics,
    TimeProvider time, ILogger<RecordWriter> logger, NpgsqlDataSource? database)
    : BackgroundService
{
    private const int MostInAGroup = 500;
    private static readonly TimeSpan WriteBound = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan PruneInterval = TimeSpan.FromHours(1);

    private (ICollection<EntryCount> Entries, ICollection<KeyValuePair<CountName, CallCount>> Counts) _taken = ([], []);
    private long? _prunedAt;
    private bool _isTold;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (database is null)
            return;
        try
        {
            while (true)
            {
                await Task.Delay(options.WriteInterval, time, stoppingToken);
                await WriteAsync(database);
                await PruneAsync(database);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await WriteAsync(database);
            await WriteAsync(database);
        }
    }

    private async Task WriteAsync(NpgsqlDataSource source)
    {
        var (entries, counts) = _taken;
        _taken = records.Take();
        var (leftEntries, leftCounts) = (entries.ToList(), counts.ToList());
        try
        {
            while (leftEntries.Count + leftCounts.Count > 0)
            {
                var (some, others) = (leftEntries.Take(MostInAGroup).ToList(), leftCounts.Take(MostInAGroup).ToList());
                using var bound = new CancellationTokenSource(WriteBound, time);
                await using var command = source.CreateCommand("SELECT record_llm_cache($1, $2)");
                command.Parameters.Add(new() { Value = RecordJson.Of(some), NpgsqlDbType = NpgsqlDbType.Jsonb });
                command.Parameters.Add(new() { Value = RecordJson.Of(others), NpgsqlDbType = NpgsqlDbType.Jsonb });
                await command.ExecuteNonQueryAsync(bound.Token);
                leftEntries.RemoveRange(0, some.Count);
                leftCounts.RemoveRange(0, others.Count);
            }

            _isTold = false;
        }
        catch (PostgresException e) when (!e.IsTransient && !e.SqlState.StartsWith("57", StringComparison.Ordinal))
        {
            // It would be refused again.
            metrics.Lost(leftEntries.Count + leftCounts.Count);
            Log.Refused(logger, e.SqlState, leftEntries.Count + leftCounts.Count);
        }
        catch (Exception e) when (e is NpgsqlException or OperationCanceledException or ObjectDisposedException or TimeoutException)
        {
            if (!_isTold)
                Log.Waiting(logger, e.GetType().Name);
            _isTold = true;
            records.PutBack(leftEntries, leftCounts);
        }
    }

    private async Task PruneAsync(NpgsqlDataSource source)
    {
        if (_prunedAt is { } last && time.GetElapsedTime(last) < PruneInterval)
            return;
        _prunedAt = time.GetTimestamp();
        try
        {
            using var bound = new CancellationTokenSource(WriteBound, time);
            await using var command = source.CreateCommand("SELECT prune_llm_cache($1, $2, 10000)");
            command.Parameters.Add(new() { Value = options.RowRetention });
            // As long as any answer that it is about can be kept.
            command.Parameters.Add(new() { Value = options.Ttl * (1 + options.TtlSpread) + options.MaxStale + TimeSpan.FromHours(1) });
            await command.ExecuteNonQueryAsync(bound.Token);
        }
        catch (Exception e) when (e is NpgsqlException or OperationCanceledException or ObjectDisposedException or TimeoutException)
        {
            // Next time.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Counts of the response cache wait for the database: {ExceptionType}")]
        public static partial void Waiting(ILogger logger, string exceptionType);

        [LoggerMessage(LogLevel.Error, "The database refuses counts of the response cache: {SqlState}; {Count} are lost")]
        public static partial void Refused(ILogger logger, string sqlState, int count);
    }
}
