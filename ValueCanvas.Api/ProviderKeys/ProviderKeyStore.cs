using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Audit;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.ProviderKeys;

namespace ValueCanvas.Api.ProviderKeys;

/// <summary>The tenants' keys of providers, sealed for their row. What changes one also notes it in the same transaction.</summary>
internal sealed class ProviderKeyStore(TenantDatabase database, SealedProviderKeys keys)
{
    public Task<IReadOnlyList<ProviderKeyData>> ListAsync(Guid tenantId, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) => (IReadOnlyList<ProviderKeyData>)await db.Database.SqlQuery<ProviderKeyData>(
            $"""
             SELECT provider AS "Provider", last_four AS "LastFour", set_at AS "SetAt" FROM provider_keys
             WHERE tenant_id = {tenantId} AND sealed IS NOT NULL ORDER BY provider
             """).ToListAsync(ct),
        cancellationToken);

    public Task<ProviderKeyData> SetAsync(
        Guid tenantId, string provider, string secret, AuditNote note, CancellationToken cancellationToken)
    {
        var box = keys.Seal(tenantId, provider, secret);
        return database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var set = await db.Database.SqlQuery<ProviderKeyData>(
                    $"""
                     INSERT INTO provider_keys (tenant_id, provider, sealed, last_four)
                     VALUES ({tenantId}, {provider}, {box}, {secret[^4..]})
                     ON CONFLICT (tenant_id, provider) DO UPDATE
                     SET sealed = excluded.sealed, last_four = excluded.last_four, set_at = excluded.set_at
                     RETURNING provider AS "Provider", last_four AS "LastFour", set_at AS "SetAt"
                     """).ToListAsync(ct);
                await note(db, ct);
                return set[0];
            },
            cancellationToken);
    }

    /// <summary>False where there is none.</summary>
    public Task<bool> DeleteAsync(
        Guid tenantId, string provider, AuditNote note, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) =>
        {
            var deleted = await db.Database.ExecuteSqlAsync(
                $"""
                 UPDATE provider_keys SET sealed = NULL, last_four = NULL
                 WHERE tenant_id = {tenantId} AND provider = {provider} AND sealed IS NOT NULL
                 """,
                ct);
            if (deleted > 0)
                await note(db, ct);
            return deleted > 0;
        },
        cancellationToken);
}
