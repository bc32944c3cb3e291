using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using ValueCanvas.ServiceDefaults.Telemetry;

namespace ValueCanvas.ServiceDefaults.Health;

/// <summary>
/// Health over HTTP. Body: <c>{"status","version","checks":{name:status},"services":{name:{"status","latencyMs","error"?,"parts"?}}}</c>
/// where a status is <c>healthy</c>, <c>degraded</c> or <c>unhealthy</c> (and <c>draining</c> for the whole). 200 for healthy and degraded,
/// 503 otherwise.
/// </summary>
public static class HealthEndpoints
{
    private static readonly string[] Methods = [HttpMethods.Get, HttpMethods.Head];

    /// <summary>
    /// Maps, under <paramref name="prefix"/>, the state of all dependencies (the prefix itself), <c>/ready</c> (the same, and 503
    /// <c>draining</c> once shutdown has begun) and <c>/live</c> (200 while the process answers; runs no check).
    /// </summary>
    public static IEndpointRouteBuilder MapHealthEndpoints(this IEndpointRouteBuilder endpoints, string prefix)
    {
        endpoints.MapProbe(prefix, (HealthProbe probe, HttpContext context) => AllAsync(probe, context));
        endpoints.MapProbe($"{prefix}/live", () => Answer(HealthNames.Healthy, StatusCodes.Status200OK, []));
        endpoints.MapReadiness($"{prefix}/ready");
        return endpoints;
    }

    internal static void MapReadiness(this IEndpointRouteBuilder endpoints, string path) =>
        endpoints.MapProbe(path, (HealthProbe probe, IHostApplicationLifetime lifetime, HttpContext context) =>
            lifetime.ApplicationStopping.IsCancellationRequested
                ? Task.FromResult(Answer("draining", StatusCodes.Status503ServiceUnavailable, []))
                : AllAsync(probe, context));

    internal static void AddHealth(this IServiceCollection services)
    {
        services.AddHealthChecks();
        services.AddOptions<HealthOptions>()
            .BindConfiguration(HealthOptions.Section)
            .Validate(o => o.CheckTimeout > TimeSpan.Zero, "Health:CheckTimeout must be positive.")
            .Validate(o => o.CacheFor >= TimeSpan.Zero, "Health:CacheFor must not be negative.")
            .ValidateOnStart();
        services.TryAddSingleton<HealthProbe>();
    }

    private static void MapProbe(this IEndpointRouteBuilder endpoints, string path, Delegate handler) =>
        endpoints.MapMethods(path, Methods, handler).AllowAnonymous().DisableHttpMetrics().ExcludeFromDescription();

    private static async Task<JsonHttpResult<HealthDocument>> AllAsync(HealthProbe probe, HttpContext context)
    {
        context.Response.Headers.CacheControl = "no-store";
        var results = await probe.CheckAsync(context.RequestAborted);
        var worst = results.Count == 0 ? HealthStatus.Healthy : results.Min(r => r.Status);
        return Answer(
            HealthDocument.Name(worst),
            worst == HealthStatus.Unhealthy ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK,
            results);
    }

    private static JsonHttpResult<HealthDocument> Answer(string status, int statusCode, IReadOnlyList<HealthProbe.CheckResult> results)
    {
        var document = new HealthDocument(
            status,
            TelemetryExtensions.Version(),
            results.ToDictionary(r => r.Name, r => HealthDocument.Name(r.Status)),
            results.ToDictionary(r => r.Name, r => new ServiceHealth(
                HealthDocument.Name(r.Status),
                Math.Round(r.Latency.TotalMilliseconds, 2),
                r.Status == HealthStatus.Healthy ? null : r.Description ?? "the check failed",
                r.Parts)));
        return TypedResults.Json(document, HealthJsonContext.Default.HealthDocument, statusCode: statusCode);
    }
}
