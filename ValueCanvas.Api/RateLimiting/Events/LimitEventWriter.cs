using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;

namespace ValueCanvas.Api.RateLimiting.Events;

/// <summary>Writes what was counted in groups, off every request's path, and prunes what is old.</summary>
internal sealed partial class LimitEventWriter(
    LimitEvents events, NpgsqlDataSource database, IOptions<RateLimitingOptions> options, TimeProvider time,
    ILogger<LimitEventWriter> logger)
    : BackgroundService
{
    private static readonly TimeSpan PruneInterval = TimeSpan.FromHours(1);
    private static readonly TimeSpan WriteBound = TimeSpan.FromSeconds(5);

    private long? _prunedAt;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (true)
            {
                await Task.Delay(options.Value.LogInterval, time, stoppingToken);
                await WriteAsync();
                await PruneAsync();
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await WriteAsync();
        }
    }

    private async Task WriteAsync()
    {
        var taken = events.Take();
        if (taken.Count == 0)
            return;
        try
        {
            using var bound = new CancellationTokenSource(WriteBound, time);
            await using var connection = await database.OpenConnectionAsync(bound.Token);
            await using var rows = await connection.BeginBinaryImportAsync(
                "COPY rate_limit_logs (minute, policy, subject, refused, shadow, near, samples) FROM STDIN (FORMAT binary)", bound.Token);
            foreach (var (key, counts) in taken)
            {
                var (refused, shadow, near, samples) = counts.Read();
                await rows.StartRowAsync(bound.Token);
                await rows.WriteAsync(key.Minute.ToUniversalTime(), NpgsqlDbType.TimestampTz, bound.Token);
                await rows.WriteAsync(key.Policy, NpgsqlDbType.Text, bound.Token);
                // A name that a client chose may hold what text cannot.
                await rows.WriteAsync(key.Subject.Replace("\0", "", StringComparison.Ordinal), NpgsqlDbType.Text, bound.Token);
                await rows.WriteAsync(refused, NpgsqlDbType.Integer, bound.Token);
                await rows.WriteAsync(shadow, NpgsqlDbType.Integer, bound.Token);
                await rows.WriteAsync(near, NpgsqlDbType.Integer, bound.Token);
                await rows.WriteAsync(
                    JsonSerializer.Serialize(samples, LimitSampleContext.Default.LimitSampleArray)
                        .Replace("\\u0000", "", StringComparison.Ordinal),
                    NpgsqlDbType.Jsonb,
                    bound.Token);
            }

            await rows.CompleteAsync(bound.Token);
        }
        catch (Exception e) when (e is NpgsqlException or OperationCanceledException or ObjectDisposedException or TimeoutException)
        {
            Log.NotWritten(logger, e.GetType().Name);
            events.PutBack(taken);
        }
    }

    private async Task PruneAsync()
    {
        if (_prunedAt is { } last && time.GetElapsedTime(last) < PruneInterval)
            return;
        _prunedAt = time.GetTimestamp();
        try
        {
            using var bound = new CancellationTokenSource(WriteBound, time);
            await using var command = database.CreateCommand("DELETE FROM rate_limit_logs WHERE minute < $1");
            command.Parameters.Add(new() { Value = (time.GetUtcNow() - options.Value.LogRetention).ToUniversalTime() });
            await command.ExecuteNonQueryAsync(bound.Token);
        }
        catch (Exception e) when (e is NpgsqlException or OperationCanceledException or ObjectDisposedException or TimeoutException)
        {
            Log.NotWritten(logger, e.GetType().Name);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "Refusals could not be written to the log of rate limits, and are kept: {ExceptionType}")]
        public static partial void NotWritten(ILogger logger, string exceptionType);
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LimitSample[]))]
internal sealed partial class LimitSampleContext : JsonSerializerContext;
