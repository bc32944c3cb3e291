using Npgsql;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Authentication;

/// <summary>
/// Asks PostgreSQL again and again which keys, sessions and memberships changed, and forgets what was known of them: so a revocation is
/// everywhere within a second, and nothing but the database is needed for it.
/// </summary>
/// <remarks>
/// Each question looks back further than a look-up can take. A look-up that read a key just before it was revoked, and remembers it just
/// after that was told, is undone by the next question; one that began later has seen it, and stays.
/// </remarks>
internal sealed partial class AccessChanges(
    NpgsqlDataSource dataSource, KnownKeys keys, AccessTokens tokens, TimeProvider time, ILogger<AccessChanges> logger) : BackgroundService
{
    /// <summary>After this long without an answer the database counts as away.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LookBack = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(2);

    // Of its own, so that it does not wait for one while requests have them all.
    private NpgsqlConnection? _connection;
    private Dictionary<long, long> _heardOf = [];
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
        finally
        {
            await CloseAsync();
        }
    }

    private async Task AskAsync(CancellationToken stoppingToken)
    {
        var asked = time.GetTimestamp();
        using var bound = new CancellationTokenSource(Bound, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, stoppingToken);
        try
        {
            // 1. What changed since the last answer, and for a while before it.
            var silence = _answeredAt is { } at ? time.GetElapsedTime(at, asked) : TimeSpan.Zero;
            var changes = await ReadAsync(LookBack + silence, joined.Token);

            // 2. Forget it; after a long silence forget everything, for the database has forgotten old changes too.
            if (silence > KnownKeys.Trust)
            {
                keys.Remove(_ => true);
                tokens.Forget(_ => true);
            }
            else if (!changes.IsEmpty)
            {
                keys.Remove(changes.Concern);
                tokens.Forget(changes.Concern);
            }

            // 3. The rest still holds.
            _answeredAt = asked;
            keys.Confirm(asked);
            if (_away)
                Log.Back(logger);
            _away = false;
        }
        catch (Exception exception) when (
            !stoppingToken.IsCancellationRequested
            && (exception is OperationCanceledException or PostgresException || DatabaseErrors.IsUnavailable(exception)))
        {
            await CloseAsync();
            if (!_away)
                Log.Away(logger, exception.GetType().Name);
            _away = true;
        }
    }

    private async Task<ChangedAccess> ReadAsync(TimeSpan within, CancellationToken cancellationToken)
    {
        _connection ??= await dataSource.OpenConnectionAsync(cancellationToken);
        await using var command = new NpgsqlCommand(
            "SELECT session_id, user_id, tenant_id, key_id, id FROM changed_access($1)", _connection);
        command.Parameters.Add(new() { Value = within });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        List<(Guid? Session, Guid? User, Guid? Tenant, Guid? Key, long Id)> rows = [];
        while (await reader.ReadAsync(cancellationToken))
            rows.Add((Id(0), Id(1), Id(2), Id(3), reader.GetInt64(4)));

        var now = time.GetTimestamp();
        var heardOf = rows.ToDictionary(row => row.Id, row => _heardOf.GetValueOrDefault(row.Id, now));
        var changes = new ChangedAccess();
        foreach (var row in rows)
            changes.Add(row.Session, row.User, row.Tenant, row.Key, heardOf[row.Id]);
        _heardOf = heardOf;
        return changes;

        Guid? Id(int column) => reader.IsDBNull(column) ? null : reader.GetGuid(column);
    }

    private async Task CloseAsync()
    {
        if (_connection is not { } connection)
            return;
        _connection = null;
        await connection.DisposeAsync();
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "The database does not say which keys were revoked ({ExceptionType}); known keys go on for a while")]
        public static partial void Away(ILogger logger, string exceptionType);

        [LoggerMessage(LogLevel.Information, "The database says again which keys were revoked")]
        public static partial void Back(ILogger logger);
    }
}
