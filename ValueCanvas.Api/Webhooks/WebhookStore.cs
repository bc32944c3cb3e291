using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Audit;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Webhooks;

namespace ValueCanvas.Api.Webhooks;

/// <summary>Tenants' endpoints. What changes one also notes it in the same transaction.</summary>
internal sealed class WebhookStore(TenantDatabase database, WebhookSecrets secrets)
{
    /// <summary>How long the secret of before signs beside a new one.</summary>
    public static readonly TimeSpan Overlap = TimeSpan.FromHours(24);

    public Task<IReadOnlyList<WebhookRow>> ListAsync(Guid tenantId, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) => (IReadOnlyList<WebhookRow>)await Rows(db, tenantId).OrderBy(row => row.CreatedAt).ToListAsync(ct),
        cancellationToken);

    public Task<WebhookRow?> FindAsync(Guid tenantId, Guid id, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId, (db, ct) => Rows(db, tenantId).SingleOrDefaultAsync(row => row.Id == id, ct), cancellationToken);

    /// <summary>With its secret; null where the tenant has as many as it may.</summary>
    public Task<(WebhookRow Row, string Secret)?> AddAsync(
        Guid tenantId, Guid id, WebhookBody body, int most, AuditNote note, CancellationToken cancellationToken)
    {
        var (text, box) = secrets.Create(tenantId, id);
        return database.ExecuteAsync<(WebhookRow, string)?>(
            tenantId,
            async (db, ct) =>
            {
                var added = await db.Database.ExecuteSqlAsync(
                    $"""
                     INSERT INTO webhook_endpoints (id, tenant_id, url, description, events, sealed, enabled)
                     SELECT {id}, {tenantId}, {body.Url}, {body.Description}, {body.EventNames()}, {box}, {body.Enabled ?? true}
                     WHERE (SELECT count(*) FROM webhook_endpoints WHERE tenant_id = {tenantId}) < {most}
                     """,
                    ct);
                if (added == 0)
                    return null;
                await note(db, ct);
                return (await Rows(db, tenantId).SingleAsync(row => row.Id == id, ct), text);
            },
            cancellationToken);
    }

    /// <summary>Null where there is none. Switched on, one that the system had disabled begins anew.</summary>
    public Task<WebhookRow?> ChangeAsync(
        Guid tenantId, Guid id, WebhookBody body, AuditNote note, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) =>
        {
            var enabled = body.Enabled ?? true;
            var changed = await db.Database.ExecuteSqlAsync(
                $"""
                 UPDATE webhook_endpoints
                 SET url = {body.Url}, description = {body.Description}, events = {body.EventNames()}, enabled = {enabled},
                     disabled_reason = CASE WHEN {enabled} THEN NULL ELSE disabled_reason END,
                     failing_since = CASE WHEN {enabled} AND NOT enabled THEN NULL ELSE failing_since END
                 WHERE id = {id} AND tenant_id = {tenantId}
                 """,
                ct);
            if (changed > 0)
                await note(db, ct);
            return await Rows(db, tenantId).SingleOrDefaultAsync(row => row.Id == id, ct);
        },
        cancellationToken);

    /// <summary>Null where there is none.</summary>
    public Task<(WebhookRow Row, string Secret)?> RotateAsync(
        Guid tenantId, Guid id, AuditNote note, CancellationToken cancellationToken)
    {
        var (text, box) = secrets.Create(tenantId, id);
        return database.ExecuteAsync<(WebhookRow, string)?>(
            tenantId,
            async (db, ct) =>
            {
                var changed = await db.Database.ExecuteSqlAsync(
                    $"""
                     UPDATE webhook_endpoints
                     SET sealed = {box}, previous_sealed = sealed, previous_until = clock_timestamp() + {Overlap}
                     WHERE id = {id} AND tenant_id = {tenantId}
                     """,
                    ct);
                if (changed == 0)
                    return null;
                await note(db, ct);
                return (await Rows(db, tenantId).SingleAsync(row => row.Id == id, ct), text);
            },
            cancellationToken);
    }

    /// <summary>False where there is none. Its deliveries go with it.</summary>
    public Task<bool> RemoveAsync(Guid tenantId, Guid id, AuditNote note, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        async (db, ct) =>
        {
            await db.Database.ExecuteSqlAsync(
                $"DELETE FROM webhook_deliveries WHERE endpoint_id = {id} AND tenant_id = {tenantId}", ct);
            var removed = await db.Database.ExecuteSqlAsync(
                $"DELETE FROM webhook_endpoints WHERE id = {id} AND tenant_id = {tenantId}", ct);
            if (removed > 0)
                await note(db, ct);
            return removed > 0;
        },
        cancellationToken);

    private static IQueryable<WebhookRow> Rows(ValueCanvasDbContext db, Guid tenantId) => db.Database.SqlQuery<WebhookRow>(
        $"""
         SELECT id AS "Id", url AS "Url", description AS "Description", events AS "Events", enabled AS "Enabled",
                disabled_reason AS "DisabledReason", failing_since AS "FailingSince",
                CASE WHEN previous_until > clock_timestamp() THEN previous_until END AS "PreviousUntil", created_at AS "CreatedAt"
         FROM webhook_endpoints WHERE tenant_id = {tenantId}
         """);
}

internal sealed record WebhookRow(
    Guid Id, string Url, string? Description, string[] Events, bool Enabled, string? DisabledReason, DateTimeOffset? FailingSince,
    DateTimeOffset? PreviousUntil, DateTimeOffset CreatedAt);
