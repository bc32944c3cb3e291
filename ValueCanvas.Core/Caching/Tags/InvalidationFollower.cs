using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Caching.Tags;

/// <summary>Asks PostgreSQL twice a second what was invalidated. While it is away, what is known goes on.</summary>
internal sealed partial class InvalidationFollower(
    Invalidations invalidations, ResponseCacheOptions options, TimeProvider time,
    ILogger<InvalidationFollower> logger, NpgsqlDataSource? database)
    : BackgroundService
{
    private const int MostAtOnce = 1000;
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(2);

    private bool _isTold;

    /// <summary>Takes over what is new.</summary>
    public async Task LookAsync(CancellationToken cancellationToken)
    {
        if (database is null)
            return;
        while (true)
        {
            using var bound = new CancellationTokenSource(Bound, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
            await using var command = database.CreateCommand(
                "SELECT sequence, tenant_id, tag FROM llm_cache_invalidations_after($1, $2)");
            command.Parameters.Add(new() { Value = invalidations.Epoch });
            command.Parameters.Add(new() { Value = MostAtOnce });
            await using var rows = await command.ExecuteReaderAsync(either.Token);
            var (count, last) = (0, invalidations.Epoch);
            while (await rows.ReadAsync(either.Token))
            {
                count++;
                last = rows.GetInt64(0);
                invalidations.Note(await rows.IsDBNullAsync(1, either.Token) ? null : rows.GetGuid(1), rows.GetString(2), last);
            }

            invalidations.Reach(last);
            if (count < MostAtOnce)
                return;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (database is null || !options.Enabled)
            return;
        try
        {
            while (true)
            {
                try
                {
                    await LookAsync(stoppingToken);
                    _isTold = false;
                }
                catch (Exception e) when (!stoppingToken.IsCancellationRequested)
                {
                    var (level, type) = (DatabaseErrors.IsUnavailable(e) ? LogLevel.Warning : LogLevel.Error, e.GetType().Name);
                    if (!_isTold)
                        Log.NotFollowed(logger, level, type);
                    _isTold = true;
                }

                await Task.Delay(options.FollowInterval, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private static partial class Log
    {
        [LoggerMessage("Invalidations of the response cache cannot be followed: {ExceptionType}")]
        public static partial void NotFollowed(ILogger logger, LogLevel level, string exceptionType);
    }
}
