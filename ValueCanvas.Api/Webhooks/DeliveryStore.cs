using System.Globalization;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Webhooks;

namespace ValueCanvas.Api.Webhooks;

/// <summary>What was, is and will be sent to an endpoint.</summary>
internal sealed class DeliveryStore(TenantDatabase database, TimeProvider time)
{
    private const string Columns =
        """
        SELECT id AS "Id", job_id AS "JobId", event AS "Event", state AS "State", attempts AS "Attempts", next_at AS "NextAt",
               last_status AS "LastStatus", last_error AS "LastError", created_at AS "CreatedAt", finished_at AS "FinishedAt",
               payload AS "Payload"
        FROM webhook_deliveries
        """;

    /// <summary>The newest first, from the one after <paramref name="after"/> on.</summary>
    public Task<IReadOnlyList<DeliveryRow>> ListAsync(
        Guid tenantId, Guid endpointId, string? state, PageCursor? after, int limit, CancellationToken cancellationToken) =>
        database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var every = state is null;
                var first = after is null;
                var at = after?.CreatedAt ?? default;
                var id = after?.Id ?? default;
                return (IReadOnlyList<DeliveryRow>)await Rows(
                    db,
                    $"""
                     WHERE tenant_id = {tenantId} AND endpoint_id = {endpointId} AND ({every} OR state = {state ?? ""})
                       AND ({first} OR (created_at, id) < ({at}, {id}))
                     ORDER BY created_at DESC, id DESC LIMIT {limit}
                     """).ToListAsync(ct);
            },
            cancellationToken);

    /// <summary>Puts a message into the outbox that says nothing; null where there is no such endpoint, or it is disabled.</summary>
    public Task<DeliveryRow?> TestAsync(Guid tenantId, Guid endpointId, AuditNote note, CancellationToken cancellationToken)
    {
        var id = Guid.NewGuid();
        var now = time.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
        var payload = $$$"""{"type":"{{{WebhookEvents.Test}}}","timestamp":"{{{now}}}","data":{"webhookId":"{{{endpointId}}}"}}""";
        return database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var added = await db.Database.ExecuteSqlAsync(
                    $"""
                     INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, event, payload)
                     SELECT {id}, e.tenant_id, e.id, {WebhookEvents.Test}, {payload}
                     FROM webhook_endpoints e WHERE e.id = {endpointId} AND e.tenant_id = {tenantId} AND e.enabled
                     """,
                    ct);
                if (added == 0)
                    return null;
                await note(db, ct);
                return await FindAsync(db, tenantId, endpointId, id, ct);
            },
            cancellationToken);
    }

    /// <summary>
    /// Sends a message once more, under the id that it had, with all attempts before it; null where there is none, and not begun anew
    /// where an attempt is under way.
    /// </summary>
    public Task<(DeliveryRow Row, bool Begun)?> RedeliverAsync(
        Guid tenantId, Guid endpointId, Guid id, AuditNote note, CancellationToken cancellationToken) =>
        database.ExecuteAsync<(DeliveryRow, bool)?>(
            tenantId,
            async (db, ct) =>
            {
                // The lease grows: whoever still has it open changes nothing any more.
                var begun = await db.Database.ExecuteSqlAsync(
                    $"""
                     UPDATE webhook_deliveries
                     SET state = 'pending', finished_at = NULL, attempts = 0, lease = lease + 1, next_at = clock_timestamp(),
                         claimed_until = NULL
                     WHERE id = {id} AND endpoint_id = {endpointId} AND tenant_id = {tenantId}
                       AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
                     """,
                    ct);
                if (begun > 0)
                    await note(db, ct);
                return await FindAsync(db, tenantId, endpointId, id, ct) is { } row ? (row, begun > 0) : null;
            },
            cancellationToken);

    private static Task<DeliveryRow?> FindAsync(
        ValueCanvasDbContext db, Guid tenantId, Guid endpointId, Guid id, CancellationToken cancellationToken) =>
        Rows(db, $"WHERE tenant_id = {tenantId} AND endpoint_id = {endpointId} AND id = {id}").SingleOrDefaultAsync(cancellationToken);

    private static IQueryable<DeliveryRow> Rows(ValueCanvasDbContext db, FormattableString condition) => db.Database.SqlQuery<DeliveryRow>(
        FormattableStringFactory.Create($"{Columns}\n{condition.Format}", condition.GetArguments()));
}

internal sealed record DeliveryRow(
    Guid Id, Guid? JobId, string Event, string State, int Attempts, DateTimeOffset NextAt, int? LastStatus, string? LastError,
    DateTimeOffset CreatedAt, DateTimeOffset? FinishedAt, string Payload);
