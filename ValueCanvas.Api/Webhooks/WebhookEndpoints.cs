using System.Globalization;
using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Webhooks;

namespace ValueCanvas.Api.Webhooks;

/// <summary>Endpoints that hear of the ends of jobs. Where they are is told to admins alone: a URL may be a secret, too.</summary>
internal static class WebhookEndpoints
{
    private const int MostWebhooks = 20;

    public static IServiceCollection AddWebhookEndpoints(this IServiceCollection services)
    {
        services.AddWebhooks();
        services.AddSingleton<WebhookStore>();
        services.AddSingleton<DeliveryStore>();
        return services.AddJson(WebhookContext.Default);
    }

    public static void MapWebhooks(this RouteGroupBuilder queue)
    {
        var group = queue.MapGroup("/webhooks").WithTags("Webhooks").RequireRole(Role.Admin);
        group.MapGet("", async (Caller caller, WebhookStore webhooks, CancellationToken ct) => TypedResults.Ok(Envelope.Of(
                new WebhookList([.. (await webhooks.ListAsync(caller.TenantId, ct)).Select(row => WebhookData.From(row))]))))
            .WithSummary("The tenant's webhooks, oldest first")
            .Produces<Envelope<WebhookList>>();
        group.MapPost("", CreateAsync)
            .WithSummary("Have the ends of jobs told to a URL; the answer is the only one that shows the secret")
            .Produces<Envelope<WebhookData>>(StatusCodes.Status201Created)
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status409Conflict);
        group.MapGet("/{id}", GetAsync)
            .WithName("GetWebhook")
            .WithSummary("One webhook")
            .Produces<Envelope<WebhookData>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPut("/{id}", PutAsync)
            .WithSummary("Change a webhook, stop it with \"enabled\": false, or start it again")
            .Produces<Envelope<WebhookData>>()
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound);
        group.MapDelete("/{id}", DeleteAsync)
            .WithSummary("Remove a webhook with its deliveries, also those that are under way")
            .Produces(StatusCodes.Status204NoContent)
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPost("/{id}/rotate", RotateAsync)
            .WithSummary("Give it a new secret; for 24 hours messages are signed with the one of before as well")
            .Produces<Envelope<WebhookData>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapDeliveries();
    }

    private static async Task<IResult> CreateAsync(
        JsonBody<WebhookBody> body, Caller caller, WebhookStore webhooks, WebhookNetworks networks, AuditLog audit,
        LinkGenerator links, HttpContext context, CancellationToken cancellationToken)
    {
        CheckAddress(body.Value, networks);
        var id = Guid.NewGuid();
        if (await webhooks.AddAsync(
            caller.TenantId, id, body.Value, MostWebhooks,
            Noted("webhook.created", id, audit, context), cancellationToken) is not { } added)
        {
            throw new RequestException(StatusCodes.Status409Conflict, $"There are {MostWebhooks} webhooks. Remove one first.")
            {
                Code = "too_many_webhooks",
            };
        }

        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created(
            links.GetPathByName(context, "GetWebhook", new { id }), Envelope.Of(WebhookData.From(added.Row, added.Secret)));
    }

    private static async Task<IResult> GetAsync(string id, Caller caller, WebhookStore webhooks, CancellationToken cancellationToken) =>
        TypedResults.Ok(Envelope.Of(WebhookData.From(
            await webhooks.FindAsync(caller.TenantId, ReadId(id), cancellationToken) ?? throw NotThere())));

    private static async Task<IResult> PutAsync(
        string id, JsonBody<WebhookBody> body, Caller caller, WebhookStore webhooks, WebhookNetworks networks, AuditLog audit,
        HttpContext context, CancellationToken cancellationToken)
    {
        var known = ReadId(id);
        CheckAddress(body.Value, networks);
        var row = await webhooks.ChangeAsync(
            caller.TenantId, known, body.Value, Noted("webhook.changed", known, audit, context), cancellationToken) ?? throw NotThere();
        return TypedResults.Ok(Envelope.Of(WebhookData.From(row)));
    }

    private static async Task<IResult> DeleteAsync(
        string id, Caller caller, WebhookStore webhooks, AuditLog audit, HttpContext context, CancellationToken cancellationToken)
    {
        var known = ReadId(id);
        return await webhooks.RemoveAsync(caller.TenantId, known, Noted("webhook.removed", known, audit, context), cancellationToken)
            ? TypedResults.NoContent()
            : throw NotThere();
    }

    private static async Task<IResult> RotateAsync(
        string id, Caller caller, WebhookStore webhooks, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var known = ReadId(id);
        if (await webhooks.FindAsync(caller.TenantId, known, cancellationToken) is null)
            throw NotThere();
        var rotated = await webhooks.RotateAsync(
            caller.TenantId, known, Noted("webhook.rotated", known, audit, context), cancellationToken) ?? throw NotThere();
        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(Envelope.Of(WebhookData.From(rotated.Row, rotated.Secret)));
    }

    // Said at once where it can be; what a name means is looked at whenever it is connected to.
    private static void CheckAddress(WebhookBody body, WebhookNetworks networks)
    {
        if (body.Address() is { } address && !networks.Admits(address))
            throw RequestException.Invalid("url", "must name an address of the internet");
    }

    internal static AuditNote Noted(string what, Guid id, AuditLog audit, HttpContext context) =>
        audit.Noting(context, new(what) { Subject = new("webhook", id) });

    internal static Guid ReadId(string id) => Guid.TryParse(id, CultureInfo.InvariantCulture, out var known) ? known : throw NotThere();

    internal static RequestException NotThere() =>
        RequestException.NotFound("There is no webhook with this id. GET /api/queue/webhooks lists those that there are.");
}
