using System.Globalization;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Usage.Pricing;

namespace ValueCanvas.Api.Usage;

internal static class PriceEndpoints
{
    public static RouteGroupBuilder MapPriceEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Usage").WithMetadata(BodyLimit.Api).RequireOperator();
        group.MapGet("", ListAsync)
            .WithSummary("The prices of models: those that were set live, which count first, and those of the configuration")
            .Produces<Envelope<IReadOnlyList<PriceData>>>();
        group.MapPut("", SetAsync)
            .WithSummary("Set what a model costs from a day on; earlier calls keep what they cost")
            .Produces<Envelope<PriceData>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapDelete("", DeleteAsync)
            .WithSummary("Remove a price that was set live")
            .Produces(StatusCodes.Status204NoContent)
            .ProducesProblem(StatusCodes.Status404NotFound);
        return group;
    }

    private static async Task<IResult> ListAsync(Caller caller, PriceStore store, PriceList prices, CancellationToken cancellationToken)
    {
        var live = await store.ListAsync(caller.TenantId, cancellationToken);
        return TypedResults.Ok(Envelope.Of<IReadOnlyList<PriceData>>(
            [.. live, .. prices.All.Configured.Select(price => PriceData.Of(price, "configuration"))]));
    }

    private static async Task<IResult> SetAsync(
        JsonBody<PriceBody> body, Caller caller, PriceStore store, AuditLog audit, TimeProvider time, HttpContext context,
        CancellationToken cancellationToken)
    {
        var price = body.Value.ToPrice(DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime));
        await store.SetAsync(caller.TenantId, price, Noted("price.set", price.Model, audit, context), cancellationToken);
        return TypedResults.Ok(Envelope.Of(PriceData.Of(price, "live")));
    }

    private static async Task<IResult> DeleteAsync(
        string? model, string? provider, string? from, Caller caller, PriceStore store, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(model) || model.Contains('\0'))
            throw RequestException.Invalid("model", "is required");
        if (!DateOnly.TryParseExact(from, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day))
            throw RequestException.Invalid("from", "must be the day from which the price counts, such as 2026-01-31");
        if (provider?.Contains('\0') == true)
            throw RequestException.Invalid("provider", "must be a provider's name");
        var note = Noted("price.deleted", model, audit, context);
        return await store.TryDeleteAsync(caller.TenantId, model, provider ?? "", day, note, cancellationToken)
            ? TypedResults.NoContent()
            : throw RequestException.NotFound("There is no such live price. GET /api/admin/prices lists those that there are.");
    }

    private static PriceStore.Note Noted(string what, string model, AuditLog audit, HttpContext context) =>
        (db, ct) => audit.WriteAsync(db, context, new(what) { Subject = new("model", model) }, ct);
}
