using System.Text.Json.Serialization;

namespace ValueCanvas.InferenceProxy.Autoscaling;

internal static class AutoscaleEndpoints
{
    public static IServiceCollection AddAutoscaling(this IServiceCollection services)
    {
        services.AddSingleton<Autoscaler>();
        services.AddHostedService(provider => provider.GetRequiredService<Autoscaler>());
        return services;
    }

    /// <summary><c>GET /autoscale</c>: the load and the number of replicas that it calls for, as one flat object.</summary>
    public static IEndpointRouteBuilder MapAutoscaleEndpoints(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/autoscale", (Autoscaler autoscaler) =>
            TypedResults.Json(autoscaler.Look(), AutoscaleJsonContext.Default.AutoscaleView));
        return endpoints;
    }
}

/// <summary>What an autoscaler needs to know. Requests <c>running</c> and <c>waiting</c> at the replicas, <c>kvCacheUsage</c> from 0 to 1,
/// requests that wait in the proxy, replicas that take requests, and how many are wanted between the bounds.</summary>
internal sealed record AutoscaleView(
    int Running, int Waiting, double KvCacheUsage, int QueueDepth, int Replicas, int DesiredReplicas, int MinReplicas, int MaxReplicas);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(AutoscaleView))]
internal sealed partial class AutoscaleJsonContext : JsonSerializerContext;
