using System.Text;
using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Secrets;

namespace ValueCanvas.Core.ProviderKeys;

/// <summary>How a tenant's key of a provider lies in its row: sealed for that row alone.</summary>
public sealed class SealedProviderKeys(TenantDatabase database, SecretBox secrets)
{
    private const string Purpose = "provider keys";

    /// <summary>The key as its row keeps it.</summary>
    public byte[] Seal(Guid tenantId, string provider, string secret) =>
        secrets.Seal(Purpose, Row(tenantId, provider), Encoding.ASCII.GetBytes(secret));

    /// <summary>All keys of the tenant, open.</summary>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A row is not what was sealed there.</exception>
    public async Task<IReadOnlyList<ProviderKey>> OpenAsync(Guid tenantId, CancellationToken cancellationToken)
    {
        var rows = await database.ExecuteAsync(
            tenantId,
            (db, ct) => db.Database.SqlQuery<SealedKey>(
                $"""
                 SELECT provider AS "Provider", sealed AS "Box" FROM provider_keys WHERE tenant_id = {tenantId} AND sealed IS NOT NULL
                 """).ToListAsync(ct),
            cancellationToken);
        return [.. rows.Select(row =>
            new ProviderKey(row.Provider, Encoding.ASCII.GetString(secrets.Open(Purpose, Row(tenantId, row.Provider), row.Box))))];
    }

    private static string Row(Guid tenantId, string provider) => $"{tenantId}/{provider}";

    private sealed record SealedKey(string Provider, byte[] Box);
}
