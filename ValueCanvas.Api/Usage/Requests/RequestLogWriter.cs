using System.Text.Json;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Usage;

namespace ValueCanvas.Api.Usage.Requests;

/// <summary>Writes the log of requests in groups, off every request's path, and prunes what is old. While the database is away what does
/// not fit the memory is left out.</summary>
internal sealed partial class RequestLogWriter(
    RequestLog log, NpgsqlDataSource database, IOptions<UsageOptions> options, TimeProvider time,
    ILogger<RequestLogWriter> logger) : BackgroundService
{
    private const int GroupSize = 1000;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PruneInterval = TimeSpan.FromHours(1);

    private readonly List<RequestRow> _group = new(GroupSize);
    private long? _prunedAt;
    private long _toldLeftOut;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await WriteAsync(stoppingToken);
                await PruneAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await WriteAsync(CancellationToken.None);
        }
    }

    private async Task WriteAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            while (_group.Count < GroupSize && log.Rows.TryRead(out var row))
                _group.Add(row);
            if (_group.Count == 0 || !await TryAsync(
                "SELECT record_requests($1)",
                new()
                {
                    Value = JsonSerializer.Serialize(_group, RequestRowContext.Default.ListRequestRow), NpgsqlDbType = NpgsqlDbType.Jsonb,
                },
                cancellationToken))
            {
                return;
            }

            _group.Clear();
        }
    }

    private async Task PruneAsync(CancellationToken cancellationToken)
    {
        if (log.LeftOut != _toldLeftOut)
        {
            Log.LeftOut(logger, log.LeftOut - _toldLeftOut);
            _toldLeftOut = log.LeftOut;
        }

        if (_prunedAt is { } last && time.GetElapsedTime(last) < PruneInterval)
            return;
        _prunedAt = time.GetTimestamp();
        await TryAsync("SELECT prune_request_logs($1)", new() { Value = options.Value.RequestLogRetention }, cancellationToken);
    }

    private async Task<bool> TryAsync(string sql, NpgsqlParameter parameter, CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(options.Value.WriteTimeout, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            await using var command = database.CreateCommand(sql);
            command.Parameters.Add(parameter);
            await command.ExecuteNonQueryAsync(joined.Token);
            return true;
        }
        catch (Exception exception) when (
            !cancellationToken.IsCancellationRequested
            && (exception is OperationCanceledException or NpgsqlException or ObjectDisposedException
                || DatabaseErrors.IsUnavailable(exception)))
        {
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "{Count} requests are not in the log of requests: there were more than can be written")]
        public static partial void LeftOut(ILogger logger, long count);
    }
}
