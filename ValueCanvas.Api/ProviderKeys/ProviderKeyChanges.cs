using Npgsql;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.ProviderKeys;

/// <summary>
/// Asks PostgreSQL again and again which tenants' keys changed, and forgets what was known of them: so a change is everywhere within a second.
/// Each question looks back further than a look-up can take: one that read a key just before it was deleted, and is done just after that was
/// told, is undone by the next question.
/// </summary>
internal sealed partial class ProviderKeyChanges(
    NpgsqlDataSource dataSource, KnownProviderKeys keys, TimeProvider time, ILogger<ProviderKeyChanges> logger) : BackgroundService
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LookBack = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(2);

    private long? _answeredAt;
    private bool _away;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Period, time);
        try
        {
            do
                await AskAsync(stoppingToken);
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The end of the service.
        }
    }

    private async Task AskAsync(CancellationToken stoppingToken)
    {
        var asked = time.GetTimestamp();
        using var bound = new CancellationTokenSource(Bound, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, stoppingToken);
        try
        {
            keys.Heard(await ReadAsync(_answeredAt is { } at ? LookBack + time.GetElapsedTime(at, asked) : null, joined.Token), asked);
            _answeredAt = asked;
            _away = false;
        }
        catch (Exception e) when (
            !stoppingToken.IsCancellationRequested && (e is OperationCanceledException or PostgresException || DatabaseErrors.IsUnavailable(e)))
        {
            keys.Away();
            if (!_away)
                Log.Away(logger, e.GetType().Name);
            _away = true;
        }
    }

    private async Task<List<Guid>> ReadAsync(TimeSpan? within, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("SELECT * FROM tenants_of_provider_keys($1)");
        command.Parameters.Add(new()
        {
            Value = within is { } time ? time : DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Interval,
        });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        List<Guid> tenants = [];
        while (await reader.ReadAsync(cancellationToken))
            tenants.Add(reader.GetGuid(0));
        return tenants;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "The database does not say which provider keys changed ({ExceptionType}); known keys go on for a while")]
        public static partial void Away(ILogger logger, string exceptionType);
    }
}
