using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Http.Metadata;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Inference;
using ValueCanvas.ServiceDefaults.Health;

namespace ValueCanvas.Api.Providers;

/// <summary>How the models behind the proxy are, and what they have been doing.</summary>
internal static class ProviderEndpoints
{
    public static IServiceCollection AddProviderStatus(this IServiceCollection services)
    {
        services.AddSingleton<ProviderFleet>();
        services.AddSingleton<ProviderReset>();
        services.AddSingleton<IStatistics, TenantCacheStatistics>();
        services.AddSingleton<IStatistics, TenantCostStatistics>();
        return services.AddJson(ProviderContext.Default);
    }

    public static RouteGroupBuilder MapProviderStatusEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Providers");
        group.MapGet("/health", HealthAsync)
            .AllowAnonymous()
            .WithSummary("Whether models can answer, by provider; 503 where none can")
            .Produces<LlmHealth>()
            .Produces<LlmHealth>(StatusCodes.Status503ServiceUnavailable);
        group.MapGet("/stats", StatsAsync)
            .RequireScope(Scopes.Llm)
            .WithSummary("Breakers by provider, and what cache and models did for the tenant")
            .Produces<Envelope<JsonObject>>()
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        group.MapPost("/reset", ResetAsync)
            .RequireOperator()
            .WithMetadata(new AcceptsMetadata(["application/json", "*/*"], typeof(ResetBody), isOptional: true))
            .WithSummary("Close the breakers and forget their statistics, at every model server")
            .Produces<Envelope<ResetData>>()
            .ProducesProblems(StatusCodes.Status404NotFound, StatusCodes.Status503ServiceUnavailable);
        return group;
    }

    private static async Task<JsonHttpResult<LlmHealth>> HealthAsync(ProviderFleet fleet, TimeProvider time, HttpContext context)
    {
        context.Response.Headers.CacheControl = "no-store";
        Dictionary<string, ProviderBrief> briefs = [];
        try
        {
            foreach (var (name, view) in Views(await fleet.ReadAsync(context.RequestAborted), time))
                briefs[name] = new(view.Status, view.State, view.Replicas, view.Available);
        }
        catch (InferenceException)
        {
            // Nobody can say, so nobody can answer.
        }

        var serving = briefs.Values.Count(brief => brief.Status != HealthNames.Unhealthy && brief.State != BreakerState.Open);
        var status = serving == 0 ? HealthNames.Unhealthy
            : briefs.Values.All(brief => brief is { Status: HealthNames.Healthy, State: not BreakerState.Open }) ? HealthNames.Healthy
            : HealthNames.Degraded;
        return TypedResults.Json(
            new LlmHealth(serving > 0, new(status, briefs)),
            ProviderContext.Default.LlmHealth,
            statusCode: serving > 0 ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);
    }

    private static async Task<Ok<Envelope<JsonObject>>> StatsAsync(
        Caller caller, ProviderFleet fleet, IEnumerable<IStatistics> statistics, TimeProvider time, CancellationToken cancellationToken)
    {
        // Those that other deployments ask for are always there.
        var data = new JsonObject { [ProviderNames.Together] = Write(ProviderView.Missing), [ProviderNames.OpenAi] = Write(
            ProviderView.Missing) };
        foreach (var (name, view) in Views(await fleet.ReadAsync(cancellationToken), time))
            data[name] = Write(view);
        foreach (var one in statistics)
            data[one.Name] = await one.ReadAsync(caller, cancellationToken);
        return TypedResults.Ok(Envelope.Of(data));

        static JsonNode? Write(ProviderView view) => JsonSerializer.SerializeToNode(view, ProviderContext.Default.ProviderView);
    }

    private static async Task<Ok<Envelope<ResetData>>> ResetAsync(ProviderReset reset, HttpContext context)
    {
        var body = context.Request.ContentLength != 0 && context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true }
            ? (await JsonBody<ResetBody>.BindAsync(context))!.Value
            : new ResetBody(null, null);
        return TypedResults.Ok(Envelope.Of(await reset.ResetAsync(body.Provider, body.Model, context.RequestAborted)));
    }

    private static IEnumerable<(string Name, ProviderView View)> Views(IReadOnlyList<ProviderState> providers, TimeProvider time)
    {
        var now = time.GetUtcNow();
        return providers.Select(provider => (ProviderView.NameOf(provider), ProviderView.Of(provider, now)));
    }
}
