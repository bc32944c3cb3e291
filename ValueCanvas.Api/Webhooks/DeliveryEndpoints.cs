using System.Globalization;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Webhooks;

internal static class DeliveryEndpoints
{
    private static readonly string[] States = ["pending", "delivered", "dead"];

    public static void MapDeliveries(this RouteGroupBuilder group)
    {
        group.MapPost("/{id}/test", TestAsync)
            .WithSummary("Send a message that says nothing, event webhook.test")
            .Produces<Envelope<DeliveryData>>(StatusCodes.Status202Accepted)
            .ProducesProblems(StatusCodes.Status404NotFound, StatusCodes.Status409Conflict);
        group.MapGet("/{id}/deliveries", ListAsync)
            .WithSummary("What was, is and will be sent to a webhook, newest first")
            .Produces<Envelope<DeliveryPage>>()
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound);
        group.MapPost("/{id}/deliveries/{deliveryId}/redeliver", RedeliverAsync)
            .WithSummary("Send a message again, under the id that it had")
            .Produces<Envelope<DeliveryData>>(StatusCodes.Status202Accepted)
            .ProducesProblems(StatusCodes.Status404NotFound, StatusCodes.Status409Conflict);
    }

    private static async Task<IResult> TestAsync(
        string id, Caller caller, WebhookStore webhooks, DeliveryStore deliveries, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var known = await EnabledAsync(id, caller, webhooks, cancellationToken);
        var sent = await deliveries.TestAsync(
            caller.TenantId, known, WebhookEndpoints.Noted("webhook.tested", known, audit, context), cancellationToken)
            ?? throw WebhookEndpoints.NotThere();
        return TypedResults.Accepted((string?)null, Envelope.Of(DeliveryData.From(sent)));
    }

    private static async Task<IResult> ListAsync(
        string id, string? status, string? limit, string? cursor, Caller caller, WebhookStore webhooks, DeliveryStore deliveries,
        CancellationToken cancellationToken)
    {
        var known = WebhookEndpoints.ReadId(id);
        if (!string.IsNullOrEmpty(status) && !States.Contains(status))
            throw RequestException.Invalid("status", $"must be one of: {string.Join(", ", States)}");
        var size = PageLimit.Read(limit);
        PageCursor? after = null;
        if (!string.IsNullOrEmpty(cursor))
        {
            after = PageCursor.TryParse(cursor, out var read)
                ? read
                : throw RequestException.Invalid("cursor", "must be the nextCursor of an earlier page, unchanged");
        }

        if (await webhooks.FindAsync(caller.TenantId, known, cancellationToken) is null)
            throw WebhookEndpoints.NotThere();
        var rows = await deliveries.ListAsync(
            caller.TenantId, known, string.IsNullOrEmpty(status) ? null : status, after, size + 1, cancellationToken);
        var next = rows.Count > size ? new PageCursor(rows[size - 1].CreatedAt, rows[size - 1].Id).ToString() : null;
        return TypedResults.Ok(Envelope.Of(new DeliveryPage([.. rows.Take(size).Select(DeliveryData.From)], next)));
    }

    private static async Task<IResult> RedeliverAsync(
        string id, string deliveryId, Caller caller, WebhookStore webhooks, DeliveryStore deliveries, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var known = await EnabledAsync(id, caller, webhooks, cancellationToken);
        if (!Guid.TryParse(deliveryId, CultureInfo.InvariantCulture, out var delivery)
            || await deliveries.RedeliverAsync(
                caller.TenantId, known, delivery, WebhookEndpoints.Noted("webhook.redelivered", known, audit, context), cancellationToken)
                is not { } again)
        {
            throw RequestException.NotFound(
                "There is no delivery with this id. GET /api/queue/webhooks/{id}/deliveries lists those that there are.");
        }

        return again.Begun
            ? TypedResults.Accepted((string?)null, Envelope.Of(DeliveryData.From(again.Row)))
            : throw new RequestException(StatusCodes.Status409Conflict, "An attempt to deliver it is under way. Wait for it.")
            {
                Code = "delivery_under_way",
            };
    }

    private static async Task<Guid> EnabledAsync(string id, Caller caller, WebhookStore webhooks, CancellationToken cancellationToken)
    {
        var known = WebhookEndpoints.ReadId(id);
        var webhook = await webhooks.FindAsync(caller.TenantId, known, cancellationToken) ?? throw WebhookEndpoints.NotThere();
        return webhook.Enabled
            ? known
            : throw new RequestException(StatusCodes.Status409Conflict, "The webhook is disabled. Enable it first.")
            {
                Code = "webhook_disabled",
            };
    }
}
