namespace ValueCanvas.InferenceProxy.Routing;

internal static class RoutingServices
{
    public static IServiceCollection AddReplicaRouting(this IServiceCollection services)
    {
        services.AddSingleton(Random.Shared);
        services.AddSingleton<BytesPerToken>();
        services.AddSingleton<ReplicaPicker>();
        services.AddSingleton<LoadProbe>();
        services.AddHostedService<LoadMonitor>();
        return services;
    }
}
