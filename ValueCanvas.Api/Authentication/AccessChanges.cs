using Npgsql;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Core.Changes;

namespace ValueCanvas.Api.Authentication;

/// <summary>
/// Keys, sessions and memberships that changed: what was known of them is forgotten, so a revocation is everywhere within a second.
/// </summary>
/// <remarks>
/// Each question looks back further than a look-up can take. A look-up that read a key just before it was revoked, and remembers it just
/// after that was told, is undone by the next question; one that began later has seen it, and stays.
/// </remarks>
internal sealed class AccessChanges(KnownKeys keys, AccessTokens tokens, TimeProvider time) : IChangeFollower
{
    /// <summary>After this long without an answer the database counts as away.</summary>
    public static readonly TimeSpan Silence = TimeSpan.FromSeconds(2);

    private Dictionary<long, long> _heardOf = [];

    public async Task FollowAsync(NpgsqlConnection connection, ChangesSince since, CancellationToken cancellationToken)
    {
        // 1. What changed since the last answer, and for a while before it.
        var silence = since.Silence ?? TimeSpan.Zero;
        var changes = await ReadAsync(connection, ChangesSince.LookBack + silence, cancellationToken);

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
        keys.Confirm(since.AskedAt);
    }

    /// <summary>Known keys go on; <see cref="KnownKeys"/> counts how long.</summary>
    public void NoAnswer()
    {
    }

    private async Task<ChangedAccess> ReadAsync(NpgsqlConnection connection, TimeSpan within, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT session_id, user_id, tenant_id, key_id, id FROM changed_access($1)",
            connection);
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
}
