using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Caching;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Cache;

internal static class CacheEndpoints
{
    private const int DefaultHours = 24;
    private const int MostHours = 24 * 90;

    public static IServiceCollection AddCacheEndpoints(this IServiceCollection services)
    {
        services.AddSingleton<CacheWarmer>();
        return services.AddJson(CacheContext.Default);
    }

    /// <summary>The tenant's own.</summary>
    public static RouteGroupBuilder MapCacheEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Cache").WithMetadata(BodyLimit.Api);
        group.MapGet("", ReadAsync)
            .WithSummary("What the response cache did for the tenant: hits, misses, what was saved")
            .RequireScope(Scopes.Llm)
            .Produces<Envelope<CacheData>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapPost("/invalidate", InvalidateAsync)
            .WithSummary("Drop the tenant's kept answers by tag; every instance follows within a second")
            .RequireScope(Scopes.Tenant).RequireRole(Role.Admin)
            .Produces<Envelope<CacheInvalidated>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapPost("/warm", WarmAsync)
            .WithSummary("Ask models beforehand, so that answers are kept when they are asked for")
            .RequireScope(Scopes.Llm).RequireScope(Scopes.Tenant).RequireRole(Role.Admin)
            .Produces<Envelope<CacheWarmingData>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        return group;
    }

    /// <summary>Everybody's.</summary>
    public static RouteGroupBuilder MapCacheOperation(this RouteGroupBuilder group)
    {
        group.WithTags("Cache").WithMetadata(BodyLimit.Api).RequireOperator();
        group.MapPost("/invalidate", InvalidateForAllAsync)
            .WithSummary("Drop the kept answers of all tenants by tag, such as model:NAME")
            .Produces<Envelope<CacheInvalidated>>()
            .ProducesProblem(StatusCodes.Status400BadRequest);
        return group;
    }

    private static async Task<IResult> ReadAsync(
        string? hours, Caller caller, CacheStatistics statistics, CancellationToken cancellationToken)
    {
        var span = DefaultHours;
        if (!string.IsNullOrEmpty(hours) && !(int.TryParse(hours, out span) && span is >= 1 and <= MostHours))
            throw RequestException.Invalid("hours", $"must be a whole number between 1 and {MostHours}");
        var report = await statistics.ReadAsync(caller.TenantId, TimeSpan.FromHours(span), cancellationToken);
        return TypedResults.Ok(Envelope.Of(CacheData.Of(span, report)));
    }

    private static async Task<IResult> InvalidateAsync(
        JsonBody<CacheInvalidationBody> body, Caller caller, CacheInvalidator cache, CancellationToken cancellationToken)
    {
        string[] tags = [.. body.Value.Tags!.Select(tag => tag!)];
        await cache.DropAsync(caller.TenantId, tags, cancellationToken);
        return TypedResults.Ok(Envelope.Of(new CacheInvalidated(tags)));
    }

    private static async Task<IResult> InvalidateForAllAsync(
        JsonBody<CacheInvalidationBody> body, Caller caller, CacheInvalidator cache, CancellationToken cancellationToken)
    {
        string[] tags = [.. body.Value.Tags!.Select(tag => tag!)];
        await cache.DropForAllAsync(caller.TenantId, tags, cancellationToken);
        return TypedResults.Ok(Envelope.Of(new CacheInvalidated(tags)));
    }

    private static async Task<IResult> WarmAsync(
        JsonBody<CacheWarmingBody> body, Caller caller, CacheWarmer warmer, CancellationToken cancellationToken)
    {
        if (caller.Models is { } models)
        {
            foreach (var request in body.Value.Requests!)
                models.Check(request.TryGetProperty("model", out var model) ? model.GetString()! : ChatRequest.DefaultModel);
        }

        return TypedResults.Ok(Envelope.Of(await warmer.WarmAsync(body.Value, caller, cancellationToken)));
    }
}
