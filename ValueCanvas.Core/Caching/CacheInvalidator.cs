using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Caching.Tags;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Caching;

/// <summary>
/// Drops kept answers by their tags. It is committed in PostgreSQL; this instance knows it at once, the others within a second, also those
/// that missed a message or were away.
/// </summary>
public sealed class CacheInvalidator
{
    private readonly TenantDatabase _database;
    private readonly InvalidationFollower _follower;

    internal CacheInvalidator(TenantDatabase database, InvalidationFollower follower) => (_database, _follower) = (database, follower);

    /// <summary>Of one tenant.</summary>
    public async Task DropAsync(Guid tenantId, IReadOnlyCollection<string> tags, CancellationToken cancellationToken)
    {
        string[] names = [.. tags];
        await _database.ExecuteAsync(
            tenantId,
            (db, ct) => db.Database.ExecuteSqlAsync($"SELECT invalidate_llm_cache({tenantId}, {names})", ct),
            cancellationToken);
        await _follower.LookAsync(cancellationToken);
    }

    /// <summary>Of all tenants; for operators.</summary>
    /// <param name="asTenant">In whose name the transaction runs.</param>
    /// <param name="tags">What to drop.</param>
    /// <param name="cancellationToken">Gives it up before it is done.</param>
    public async Task DropForAllAsync(Guid asTenant, IReadOnlyCollection<string> tags, CancellationToken cancellationToken)
    {
        string[] names = [.. tags];
        await _database.ExecuteAsync(
            asTenant,
            async (db, ct) =>
            {
                await db.Database.ExecuteSqlAsync($"SELECT set_config('app.cache_all', 'on', true)", ct);
                await db.Database.ExecuteSqlAsync($"SELECT invalidate_llm_cache(NULL, {names})", ct);
            },
            cancellationToken);
        await _follower.LookAsync(cancellationToken);
    }
}
