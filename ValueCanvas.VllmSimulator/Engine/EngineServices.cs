using ValueCanvas.VllmSimulator.Metrics;

namespace ValueCanvas.VllmSimulator.Engine;

internal static class EngineServices
{
    public static IServiceCollection AddEngine(this IServiceCollection services) => services
        .AddSingleton<EngineMetrics>()
        .AddSingleton<InferenceEngine>()
        .AddHostedService(provider => provider.GetRequiredService<InferenceEngine>());
}
