using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Audit;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.ApiKeys;

/// <summary>The tenant's keys that have not been deleted. What changes one also notes it in the same transaction.</summary>
internal sealed class ApiKeyStore(TenantDatabase database, ApiKeyHasher hasher)
{
    private const string Select =
        """
        SELECT k.id AS "Id", k.created_by AS "CreatedBy", k.name AS "Name", k.environment AS "Environment", k.scopes AS "Scopes",
               k.models AS "Models", k.budget_amount AS "BudgetAmount", k.budget_period AS "BudgetPeriod", k.created_at AS "CreatedAt",
               k.expires_at AS "ExpiresAt", k.last_used_at AS "LastUsedAt",
               (SELECT s.prefix FROM api_key_secrets s WHERE s.key_id = k.id ORDER BY s.created_at DESC LIMIT 1) AS "Prefix",
               (SELECT max(s.expires_at) FROM api_key_secrets s
                WHERE s.key_id = k.id AND s.expires_at > clock_timestamp()) AS "PreviousUntil"
        FROM api_keys k
        """;

    /// <summary>False where the tenant has <paramref name="limit"/> keys already.</summary>
    public Task<bool> TryAddAsync(Guid tenantId, ApiKeyRow row, string text, int limit, AuditNote note, CancellationToken cancellationToken)
    {
        var hash = hasher.Hash(text);
        return database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var made = await db.Database.ExecuteSqlAsync(
                    $"""
                     INSERT INTO api_keys (id, tenant_id, created_by, name, environment, scopes, models, budget_amount, budget_period,
                                           created_at, expires_at)
                     SELECT {row.Id}, {tenantId}, {row.CreatedBy}, {row.Name}, {row.Environment}, {row.Scopes}, {row.Models}::text[],
                            {row.BudgetAmount}, {row.BudgetPeriod}, {row.CreatedAt}, {row.ExpiresAt}
                     WHERE (SELECT count(*) FROM api_keys WHERE tenant_id = {tenantId} AND revoked_at IS NULL) < {limit}
                     """,
                    ct);
                if (made == 0)
                    return false;
                await AddSecretAsync(db, tenantId, row.Id, hash, row.Prefix, ct);
                await note(db, ct);
                return true;
            },
            cancellationToken);
    }

    public Task<ApiKeyRow?> FindAsync(Guid tenantId, Guid id, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) => (await Rows(db, $"{Select} WHERE k.tenant_id = {{0}} AND k.id = {{1}} AND k.revoked_at IS NULL", tenantId, id)
            .ToListAsync(ct)).SingleOrDefault(),
        cancellationToken);

    /// <summary>
    /// Newest first, after <paramref name="after"/>, of one maker or of all; null where there is no such key to go on from.
    /// </summary>
    public Task<IReadOnlyList<ApiKeyRow>?> ListAsync(
        Guid tenantId, Guid? createdBy, Guid? after, int count, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) =>
        {
            if (after is { } id && !await db.Database
                .SqlQuery<bool>($"""SELECT EXISTS (SELECT FROM api_keys WHERE tenant_id = {tenantId} AND id = {id}) AS "Value" """)
                .SingleAsync(ct))
            {
                return null;
            }

            return (IReadOnlyList<ApiKeyRow>?)await Rows(
                db,
                $$"""
                  {{Select}}
                  WHERE k.tenant_id = {0} AND k.revoked_at IS NULL AND ({1} = {2} OR k.created_by = {1})
                    AND ({3} = {2} OR (k.created_at, k.id) < (SELECT a.created_at, a.id FROM api_keys a WHERE a.id = {3}))
                  ORDER BY k.created_at DESC, k.id DESC
                  LIMIT {4}
                  """,
                tenantId, createdBy ?? Guid.Empty, Guid.Empty, after ?? Guid.Empty, count).ToListAsync(ct);
        },
        cancellationToken);

    /// <summary>The newest secret goes on for <paramref name="overlap"/>, an older one ends: never more than two hold.</summary>
    public Task RotateAsync(Guid tenantId, Guid id, string text, TimeSpan overlap, AuditNote note, CancellationToken cancellationToken)
    {
        var hash = hasher.Hash(text);
        return database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                await db.Database.ExecuteSqlAsync($"SELECT FROM api_keys WHERE tenant_id = {tenantId} AND id = {id} FOR UPDATE", ct);
                await db.Database.ExecuteSqlAsync(
                    $"""
                     DELETE FROM api_key_secrets
                     WHERE tenant_id = {tenantId} AND key_id = {id} AND ({overlap} = interval '0' OR hash <> (
                         SELECT s.hash FROM api_key_secrets s WHERE s.key_id = {id} ORDER BY s.created_at DESC LIMIT 1))
                     """,
                    ct);
                await db.Database.ExecuteSqlAsync(
                    $"""
                     UPDATE api_key_secrets SET expires_at = clock_timestamp() + {overlap}
                     WHERE tenant_id = {tenantId} AND key_id = {id}
                     """,
                    ct);
                await AddSecretAsync(db, tenantId, id, hash, ApiKeyText.PrefixOf(text), ct);
                await note(db, ct);
            },
            cancellationToken);
    }

    public Task DeleteAsync(Guid tenantId, Guid id, AuditNote note, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) =>
        {
            await db.Database.ExecuteSqlAsync(
                $"UPDATE api_keys SET revoked_at = clock_timestamp() WHERE tenant_id = {tenantId} AND id = {id} AND revoked_at IS NULL",
                    ct);
            await note(db, ct);
        },
        cancellationToken);

    private static Task<int> AddSecretAsync(
        ValueCanvasDbContext db, Guid tenantId, Guid id, byte[] hash, string prefix, CancellationToken cancellationToken) =>
        db.Database.ExecuteSqlAsync(
            $"INSERT INTO api_key_secrets (hash, tenant_id, key_id, prefix) VALUES ({hash}, {tenantId}, {id}, {prefix})",
                cancellationToken);

    private static IQueryable<ApiKeyRow> Rows(ValueCanvasDbContext db, string sql, params object[] parameters) =>
        db.Database.SqlQueryRaw<ApiKeyRow>(sql, parameters);
}
