using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.ApiKeys;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Authentication;

/// <summary>
/// The key of the configuration: the operator's, in the tenant that every installation has. Another value takes the place of the one
/// before; a key that somebody deleted does not come back.
/// </summary>
internal sealed partial class FirstKey(
    IOptions<FirstStartOptions> options, FirstAccount account, ApiKeyHasher hasher, ILogger<FirstKey> logger)
{
    /// <returns>The key, where it is new.</returns>
    public async Task<Guid?> EnsureAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var text = options.Value.ApiKey!;
        var hash = hasher.Hash(text);
        await using (var known = new NpgsqlCommand("SELECT 1 FROM api_key_secrets WHERE hash = $1", connection))
        {
            known.Parameters.Add(new() { Value = hash });
            if (await known.ExecuteScalarAsync(cancellationToken) is not null)
                return null;
        }

        if (await FindOwnerAsync(connection, cancellationToken) is not { } owner)
        {
            Log.NoOwner(logger, FirstStartOptions.ApiKeyVariable, FirstStartOptions.EmailVariable);
            return null;
        }

        await using var change = new NpgsqlCommand(
            """
            UPDATE api_keys SET revoked_at = clock_timestamp() WHERE tenant_id = @tenant AND bootstrap AND revoked_at IS NULL;
            INSERT INTO api_keys (id, tenant_id, created_by, name, environment, scopes, bootstrap)
            VALUES (@id, @tenant, @owner, 'First key', 'live', @scopes, true);
            INSERT INTO api_key_secrets (hash, tenant_id, key_id, prefix) VALUES (@hash, @tenant, @id, @prefix);
            """,
            connection);
        var id = Guid.NewGuid();
        change.Parameters.AddWithValue("id", id);
        change.Parameters.AddWithValue("tenant", Tenants.Development);
        change.Parameters.AddWithValue("owner", owner);
        change.Parameters.AddWithValue("scopes", Scopes.All.Order(StringComparer.Ordinal).ToArray());
        change.Parameters.AddWithValue("hash", hash);
        change.Parameters.AddWithValue("prefix", ApiKeyText.PrefixOf(text));
        await change.ExecuteNonQueryAsync(cancellationToken);
        Log.Made(logger, id);
        return id;
    }

    // Who has the configured address; where that changed, whoever had the key before.
    private async Task<Guid?> FindOwnerAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var configured = await account.FindAsync(connection, cancellationToken);
        await using var find = new NpgsqlCommand(
            """
            SELECT owner FROM (
                SELECT m.user_id AS owner, now() AS since FROM memberships m WHERE m.tenant_id = @tenant AND m.user_id = @configured
                UNION ALL
                SELECT k.created_by, k.created_at FROM api_keys k WHERE k.tenant_id = @tenant AND k.bootstrap) AS candidates
            ORDER BY since DESC LIMIT 1
            """,
            connection);
        find.Parameters.AddWithValue("tenant", Tenants.Development);
        find.Parameters.AddWithValue("configured", (object?)configured ?? DBNull.Value).NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Uuid;
        return await find.ExecuteScalarAsync(cancellationToken) as Guid?;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "The configured API key is {Key}")]
        public static partial void Made(ILogger logger, Guid key);

        [LoggerMessage(LogLevel.Warning, "{KeyVariable} is not taken: {EmailVariable} names nobody in the first tenant")]
        public static partial void NoOwner(ILogger logger, string keyVariable, string emailVariable);
    }
}
