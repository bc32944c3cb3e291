using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace ValueCanvas.Api.RateLimiting.Policies;

/// <summary>The live policies in PostgreSQL. Every change raises the revision, in its own transaction.</summary>
internal sealed class LivePolicyStore(NpgsqlDataSource database)
{
    public async Task<long> RevisionAsync(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        return await RevisionAsync(connection, cancellationToken);
    }

    public static async Task<long> RevisionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT revision FROM rate_limit_revision", connection);
        return (long)(await command.ExecuteScalarAsync(cancellationToken) ?? 0L);
    }

    public async Task<LivePolicies> LoadAsync(CancellationToken cancellationToken)
    {
        await using var batch = database.CreateBatch();
        batch.BatchCommands.Add(new("SELECT name, definition::text FROM rate_limit_policies"));
        batch.BatchCommands.Add(new("SELECT subject, action, until, resets FROM rate_limit_subjects"));
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var policies = new Dictionary<string, PolicyOptions>();
        while (await reader.ReadAsync(cancellationToken))
            policies[reader.GetString(0)] = JsonSerializer.Deserialize(reader.GetString(1), PolicyContext.Default.PolicyOptions)!;
        await reader.NextResultAsync(cancellationToken);
        var subjects = new Dictionary<string, SubjectRule>(StringComparer.Ordinal);
        while (await reader.ReadAsync(cancellationToken))
        {
            SubjectAction? action = reader.IsDBNull(1) ? null : reader.GetString(1) == "ban" ? SubjectAction.Ban : SubjectAction.Allow;
            DateTimeOffset? until = reader.IsDBNull(2) ? null : await reader.GetFieldValueAsync<DateTimeOffset>(2, cancellationToken);
            subjects[reader.GetString(0)] = new(reader.GetString(0), action, until, reader.GetInt32(3));
        }

        return new LivePolicies(policies, subjects);
    }

    public Task PutAsync(string name, PolicyOptions policy, CancellationToken cancellationToken) => ExecuteAsync(
        """
        INSERT INTO rate_limit_policies (name, definition) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET definition = EXCLUDED.definition, updated_at = now()
        """,
        cancellationToken,
        new NpgsqlParameter { Value = name },
        new NpgsqlParameter
        {
            Value = JsonSerializer.Serialize(policy, PolicyContext.Default.PolicyOptions),
            NpgsqlDbType = NpgsqlDbType.Jsonb,
        });

    public async Task<bool> DeleteAsync(string name, CancellationToken cancellationToken) =>
        await ExecuteAsync("DELETE FROM rate_limit_policies WHERE name = $1", cancellationToken, new NpgsqlParameter { Value = name }) > 0;

    /// <summary>Bans, allows, or (with null) neither.</summary>
    public Task SetAsync(string subject, SubjectAction? action, DateTimeOffset? until, CancellationToken cancellationToken) => ExecuteAsync(
        """
        INSERT INTO rate_limit_subjects (subject, action, until) VALUES ($1, $2, $3)
        ON CONFLICT (subject) DO UPDATE SET action = EXCLUDED.action, until = EXCLUDED.until, updated_at = now()
        """,
        cancellationToken,
        new NpgsqlParameter { Value = subject },
        new NpgsqlParameter
        {
            Value = action switch { SubjectAction.Ban => "ban", SubjectAction.Allow => "allow", _ => DBNull.Value },
            NpgsqlDbType = NpgsqlDbType.Text,
        },
        new NpgsqlParameter { Value = (object?)until?.ToUniversalTime() ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz });

    /// <summary>Lets the subject's counts begin anew.</summary>
    public Task ResetAsync(string subject, CancellationToken cancellationToken) => ExecuteAsync(
        """
        INSERT INTO rate_limit_subjects (subject, resets) VALUES ($1, 1)
        ON CONFLICT (subject) DO UPDATE SET resets = rate_limit_subjects.resets + 1, updated_at = now()
        """,
        cancellationToken,
        new NpgsqlParameter { Value = subject });

    private async Task<int> ExecuteAsync(string sql, CancellationToken cancellationToken, params NpgsqlParameter[] parameters)
    {
        await using var command = database.CreateCommand(sql);
        command.Parameters.AddRange(parameters);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
