using System.Buffers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace ValueCanvas.Core.Caching.Records;

/// <summary>
/// Writes entries and counts to PostgreSQL in groups, off every request's path, and prunes what is old. What is taken is written one round later:
/// whoever was about to count has done so by then, and what an answer cost is known.
/// </summary>
internal sealed partial class RecordWriter(
    CacheRecords records, ResponseCacheOptions options, CacheMetrics metrics, TimeProvider time, ILogger<RecordWriter> logger, NpgsqlDataSource? database)
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
                command.Parameters.Add(new() { Value = Entries(some), NpgsqlDbType = NpgsqlDbType.Jsonb });
                command.Parameters.Add(new() { Value = Counts(others), NpgsqlDbType = NpgsqlDbType.Jsonb });
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

    private static string Entries(List<EntryCount> entries) => Json(writer =>
    {
        foreach (var entry in entries)
        {
            var answer = entry.Answer;
            writer.WriteStartObject();
            writer.WriteString("id", answer.Id);
            writer.WriteString("tenant_id", answer.TenantId);
            writer.WriteString("key", "\\x" + answer.Key);
            writer.WriteString("kind", answer.Kind switch { Answers.AnswerKind.Chat => "chat", Answers.AnswerKind.Text => "text", _ => "embeddings" });
            writer.WriteString("model", Plain(answer.AskedModel));
            writer.WriteString("answered_by", Plain(answer.Model));
            writer.WriteString("provider", answer.Provider is null ? null : Plain(answer.Provider));
            writer.WriteString("prompt_key", answer.PromptKey);
            writer.WriteString("prompt_version", answer.PromptVersion);
            writer.WriteStartArray("tags");
            foreach (var tag in answer.Tags)
                writer.WriteStringValue(Plain(tag));
            writer.WriteEndArray();
            Number(writer, "input_tokens", answer.Usage?.InputTokens);
            Number(writer, "output_tokens", answer.Usage?.OutputTokens);
            writer.WriteNumber("size_bytes", answer.Json.Length);
            if (answer.PaidBy?.Cost is { } cost)
                writer.WriteNumber("cost", cost);
            else
                writer.WriteNull("cost");
            writer.WriteNumber("hits", entry.Hits);
            writer.WriteString("created_at", answer.CreatedAt);
            writer.WriteString("expires_at", answer.ExpiresAt);
            if (entry.LastHit > 0)
                writer.WriteString("last_hit_at", new DateTimeOffset(entry.LastHit, TimeSpan.Zero));
            else
                writer.WriteNull("last_hit_at");
            writer.WriteEndObject();
        }
    });

    private static string Counts(List<KeyValuePair<CountName, CallCount>> counts) => Json(writer =>
    {
        foreach (var (name, count) in counts)
        {
            var (hits, misses, coalesced, stale, input, output) = count.Read();
            writer.WriteStartObject();
            writer.WriteString("tenant_id", name.TenantId);
            writer.WriteString("hour", name.Hour);
            writer.WriteString("model", Plain(name.Model));
            writer.WriteString("prompt_key", name.Prompt);
            writer.WriteNumber("hits", hits);
            writer.WriteNumber("misses", misses);
            writer.WriteNumber("coalesced", coalesced);
            writer.WriteNumber("stale", stale);
            writer.WriteNumber("saved_input_tokens", input);
            writer.WriteNumber("saved_output_tokens", output);
            writer.WriteEndObject();
        }
    });

    private static string Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartArray();
            write(writer);
            writer.WriteEndArray();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Number(Utf8JsonWriter writer, string name, int? value)
    {
        if (value is { } number)
            writer.WriteNumber(name, number);
        else
            writer.WriteNull(name);
    }

    // A name that a client chose may hold what text cannot.
    private static string Plain(string name) => name.Replace("\0", "", StringComparison.Ordinal);

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Counts of the response cache wait for the database: {ExceptionType}")]
        public static partial void Waiting(ILogger logger, string exceptionType);

        [LoggerMessage(LogLevel.Error, "The database refuses counts of the response cache: {SqlState}; {Count} are lost")]
        public static partial void Refused(ILogger logger, string sqlState, int count);
    }
}
