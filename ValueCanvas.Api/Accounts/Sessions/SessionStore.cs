using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Protection;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Api.Accounts.Sessions;

/// <summary>Sign-ins and the refresh tokens that keep them going, in PostgreSQL.</summary>
internal sealed class SessionStore(
    NpgsqlDataSource dataSource, AccountDatabase database, ClientSource clients, SecretBox box, IOptions<AccountSessionOptions> options)
{
    private const int MaxClientLength = 200;

    private readonly AccountSessionOptions _options = options.Value;
    private readonly byte[] _successors = box.DeriveKey("refresh-successor");

    /// <summary>Begins a session, in a transaction that acts for its user.</summary>
    public async Task<StartedSession> StartAsync(
        AccountWork work, Guid userId, Guid tenantId, HttpContext context, CancellationToken cancellationToken)
    {
        var (id, token) = (Guid.NewGuid(), OpaqueToken.Create());
        await work.Db.Database.ExecuteSqlAsync(
            $"""
             INSERT INTO sessions (id, user_id, tenant_id, expires_at, client, network)
             VALUES ({id}, {userId}, {tenantId}, clock_timestamp() + {_options.Absolute}, {Client(context)}, {clients.NetworkOf(context)})
             """,
            cancellationToken);
        await work.Db.Database.ExecuteSqlAsync(
            $"""
             INSERT INTO refresh_tokens (hash, session_id, expires_at)
             VALUES ({token.Hash}, {id}, clock_timestamp() + {Lesser(_options.Idle, _options.Absolute)})
             """,
            cancellationToken);
        return new StartedSession(id, userId, tenantId, token.ToText(OpaqueToken.Refresh));
    }

    /// <summary>One refresh token for the next.</summary>
    public async Task<Rotation> RotateAsync(string? text, Guid? tenantId, CancellationToken cancellationToken)
    {
        if (!OpaqueToken.TryParse(OpaqueToken.Refresh, text, out var given))
            return new Rotation(RotationOutcome.Unknown, null);
        var successor = given.Next(_successors);
        await using var command = dataSource.CreateCommand(
            "SELECT outcome, session_id, user_id, tenant_id FROM rotate_refresh_token($1, $2, $3, $4, $5)");
        command.Parameters.Add(new() { Value = given.Hash });
        command.Parameters.Add(new() { Value = successor.Hash });
        command.Parameters.Add(new() { Value = (object?)tenantId ?? DBNull.Value, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { Value = _options.Idle });
        command.Parameters.Add(new() { Value = _options.Grace });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        var outcome = Enum.Parse<RotationOutcome>(reader.GetString(0).Replace("_", "", StringComparison.Ordinal), ignoreCase: true);
        return new Rotation(outcome, reader.IsDBNull(1)
            ? null
            : new StartedSession(reader.GetGuid(1), reader.GetGuid(2), reader.GetGuid(3), successor.ToText(OpaqueToken.Refresh)));
    }

    /// <summary>Ends the session that a refresh token belongs to; null where there is none that lives.</summary>
    public async Task<EndedSession?> EndByTokenAsync(string? text, CancellationToken cancellationToken)
    {
        if (!OpaqueToken.TryParse(OpaqueToken.Refresh, text, out var given))
            return null;
        await using var command = dataSource.CreateCommand("SELECT session_id, user_id, tenant_id FROM end_session_of_token($1)");
        command.Parameters.Add(new() { Value = given.Hash });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new(reader.GetGuid(0), reader.GetGuid(1), reader.GetGuid(2)) : null;
    }

    /// <summary>Ends one session of a user; false where there is none that lives.</summary>
    public Task<bool> EndAsync(Guid userId, Guid sessionId, string reason, CancellationToken cancellationToken) => database.ExecuteAsync(
        new ActingFor(User: userId),
        async (work, ct) => await work.Db.Database.ExecuteSqlAsync(
            $"""
             UPDATE sessions SET ended_at = clock_timestamp(), end_reason = {reason}
             WHERE id = {sessionId} AND user_id = {userId} AND ended_at IS NULL
             """,
            ct) > 0,
        cancellationToken);

    /// <summary>Ends all sessions of the user but one, in a transaction that acts for that user; says how many.</summary>
    public static Task<int> EndOthersAsync(
            AccountWork work, Guid userId, Guid? butNot, string reason, CancellationToken cancellationToken) =>
            work.Db.Database.ExecuteSqlAsync(
        $"""
         UPDATE sessions SET ended_at = clock_timestamp(), end_reason = {reason}
         WHERE user_id = {userId} AND id IS DISTINCT FROM {butNot} AND ended_at IS NULL
         """,
        cancellationToken);

    /// <summary>The sessions of a user that live, the newest first.</summary>
    public Task<List<SessionRow>> ListAsync(Guid userId, CancellationToken cancellationToken) => database.ExecuteAsync(
        new ActingFor(User: userId),
        (work, ct) => work.Db.Database
            .SqlQuery<SessionRow>(
                $"""
                 SELECT id AS "Id", tenant_id AS "TenantId", client AS "Client", created_at AS "CreatedAt", last_used_at AS "LastUsedAt",
                        expires_at AS "ExpiresAt"
                 FROM sessions
                 WHERE user_id = {userId} AND ended_at IS NULL AND expires_at > clock_timestamp()
                 ORDER BY created_at DESC, id DESC
                 LIMIT 100
                 """)
            .ToListAsync(ct),
        cancellationToken);

    /// <summary>Whether the user, for whom the transaction acts, has been signed in from this network.</summary>
    public static Task<bool> KnowsNetworkAsync(AccountWork work, Guid userId, byte[] network, CancellationToken cancellationToken) =>
        work.Db.Database
            .SqlQuery<bool>($"SELECT EXISTS (SELECT FROM sessions WHERE user_id = {userId} AND network = {network}) AS \"Value\"")
            .SingleAsync(cancellationToken);

    private static string? Client(HttpContext context)
    {
        var text = context.Request.Headers.UserAgent.ToString();
        text = string.Concat(text.Where(c => c is >= ' ' and <= '~'));
        return text.Length switch
        {
            0 => null,
            > MaxClientLength => text[..MaxClientLength],
            _ => text,
        };
    }

    private static TimeSpan Lesser(TimeSpan one, TimeSpan other) => one < other ? one : other;
}

internal sealed record StartedSession(Guid Id, Guid UserId, Guid TenantId, string RefreshToken);

internal sealed record EndedSession(Guid Id, Guid UserId, Guid TenantId);

internal sealed record SessionRow(
    Guid Id, Guid TenantId, string? Client, DateTimeOffset CreatedAt, DateTimeOffset LastUsedAt, DateTimeOffset ExpiresAt);

/// <param name="Outcome">What became of it.</param>
/// <param name="Session">Whose it was; null for a token that nobody was given.</param>
internal sealed record Rotation(RotationOutcome Outcome, StartedSession? Session);

internal enum RotationOutcome
{
    Unknown,
    Rotated,
    Repeated,

    /// <summary>Somebody else has it too: the session has been ended.</summary>
    Reused,
    Expired,
    Ended,
    NoTenant,
}
