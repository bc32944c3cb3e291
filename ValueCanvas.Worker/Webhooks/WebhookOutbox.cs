using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Webhooks;

namespace ValueCanvas.Worker.Webhooks;

/// <summary>
/// The deliveries' table, as workers use it. A claim grants a lease; what became of the attempt is recorded only while it holds, so a
/// worker that took too long changes nothing of what another does.
/// </summary>
internal sealed class WebhookOutbox(IServiceScopeFactory scopes, TenantDatabase database, IOptions<WebhookOptions> options)
{
    // To record the answer in, however late it came.
    private static readonly TimeSpan Spare = TimeSpan.FromSeconds(15);

    private readonly WebhookOptions _options = options.Value;

    /// <summary>Up to <paramref name="limit"/> that are due, of any tenant.</summary>
    public async Task<IReadOnlyList<ClaimedDelivery>> ClaimAsync(int limit, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database
            .SqlQuery<ClaimedDelivery>(
                $"""
                 SELECT id AS "Id", tenant_id AS "TenantId", endpoint_id AS "EndpointId", url AS "Url", sealed AS "Sealed",
                        previous_sealed AS "PreviousSealed", payload AS "Payload", attempts AS "Attempts", lease AS "Lease"
                 FROM claim_webhook_deliveries({limit}, {_options.PerEndpoint}, {_options.Timeout + Spare})
                 """)
            .ToListAsync(cancellationToken);
    }

    /// <summary>
    /// What the delivery is now: <c>delivered</c>, <c>pending</c>, <c>dead</c>; <c>stale</c> where it is another worker's.
    /// </summary>
    public Task<string> RecordAsync(ClaimedDelivery delivery, WebhookAnswer answer, CancellationToken cancellationToken) =>
        database.ExecuteAsync(
            delivery.TenantId,
            (db, ct) => answer.Succeeded ? SucceedAsync(db, delivery, answer, ct) : FailAsync(db, delivery, answer, ct),
            cancellationToken);

    /// <summary>Removes up to <paramref name="limit"/> that ended long ago; says how many.</summary>
    public async Task<int> PruneAsync(int limit, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database
            .SqlQuery<int>($"""SELECT prune_webhook_deliveries({_options.Retention}, {limit}) AS "Value" """)
            .SingleAsync(cancellationToken);
    }

    private static async Task<string> SucceedAsync(
        ValueCanvasDbContext db, ClaimedDelivery delivery, WebhookAnswer answer, CancellationToken cancellationToken)
    {
        var held = await db.Database.ExecuteSqlAsync(
            $"""
             UPDATE webhook_deliveries
             SET state = 'delivered', finished_at = clock_timestamp(), claimed_until = NULL,
                 last_status = {answer.Status}, last_error = NULL
             WHERE id = {delivery.Id} AND state = 'pending' AND lease = {delivery.Lease}
             """,
            cancellationToken);
        if (held == 0)
            return "stale";
        await db.Database.ExecuteSqlAsync(
            $"UPDATE webhook_endpoints SET failing_since = NULL WHERE id = {delivery.EndpointId} AND failing_since IS NOT NULL",
            cancellationToken);
        return "delivered";
    }

    private async Task<string> FailAsync(
        ValueCanvasDbContext db, ClaimedDelivery delivery, WebhookAnswer answer, CancellationToken cancellationToken)
    {
        var state = answer.IsGone || delivery.Attempts >= _options.MaxAttempts ? "dead" : "pending";
        var delay = WebhookSchedule.DelayAfter(delivery.Attempts, answer.RetryAfter, _options, Random.Shared);
        var held = await db.Database.ExecuteSqlAsync(
            $"""
             UPDATE webhook_deliveries
             SET state = {state}, next_at = clock_timestamp() + {delay}, claimed_until = NULL,
                 finished_at = CASE WHEN {state} = 'dead' THEN clock_timestamp() END,
                 last_status = {answer.Status}, last_error = {answer.Error}
             WHERE id = {delivery.Id} AND state = 'pending' AND lease = {delivery.Lease}
             """,
            cancellationToken);
        if (held == 0)
            return "stale";
        await db.Database.ExecuteSqlAsync(
            $"""
             UPDATE webhook_endpoints
             SET failing_since = coalesce(failing_since, clock_timestamp()),
                 enabled = enabled AND NOT {answer.IsGone} AND coalesce(failing_since > clock_timestamp() - {_options.DisableAfter}, true),
                 disabled_reason = CASE
                     WHEN NOT enabled THEN disabled_reason
                     WHEN {answer.IsGone} THEN 'gone'
                     WHEN failing_since <= clock_timestamp() - {_options.DisableAfter} THEN 'failing' END
             WHERE id = {delivery.EndpointId}
               AND ({answer.IsGone} OR failing_since IS NULL OR failing_since <= clock_timestamp() - {_options.DisableAfter})
             """,
            cancellationToken);
        return state;
    }
}

/// <summary>
/// A delivery that is this worker's for a while; <c>PreviousSealed</c> is the secret of before, while it still counts, and <c>Attempts</c>
/// has this one in it.
/// </summary>
internal sealed record ClaimedDelivery(
    Guid Id, Guid TenantId, Guid EndpointId, string Url, byte[] Sealed, byte[]? PreviousSealed, string Payload, int Attempts, long Lease);
