using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Authentication;

/// <summary>Tells the database once a minute, in one statement, which keys were used: no request waits for it.</summary>
internal sealed partial class LastUse(NpgsqlDataSource dataSource, KnownKeys keys, TimeProvider time, ILogger<LastUse> logger)
    : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                await TellAsync();
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await TellAsync();
        }
    }

    private async Task TellAsync()
    {
        // A key with two secrets is known twice.
        var used = keys.All
            .Where(key => key.UsedAt > key.ToldAt)
            .Select(key => (Key: key, Id: key.Caller.ApiKeyId!.Value, At: key.UsedAt))
            .ToArray();
        if (used.Length == 0)
            return;
        var last = used.GroupBy(one => one.Id).ToDictionary(group => group.Key, group => group.Max(one => one.At));
        using var bound = new CancellationTokenSource(Bound, time);
        try
        {
            await using var command = dataSource.CreateCommand("SELECT note_api_keys_used($1, $2)");
            command.Parameters.Add(new() { Value = last.Keys.ToArray() });
            command.Parameters.Add(new() { Value = last.Values.Select(ticks => new DateTimeOffset(ticks, TimeSpan.Zero)).ToArray() });
            await command.ExecuteNonQueryAsync(bound.Token);
            foreach (var (key, _, at) in used)
                key.ToldAt = at;
        }
        catch (Exception exception) when (exception is OperationCanceledException or NpgsqlException
            || DatabaseErrors.IsUnavailable(exception))
        {
            // The next minute tells it.
            Log.NotTold(logger, used.Length, exception.GetType().Name);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Debug, "The database was not told of the last use of {Count} keys: {ExceptionType}")]
        public static partial void NotTold(ILogger logger, int count, string exceptionType);
    }
}
