namespace ValueCanvas.InferenceProxy.Resilience;

internal static class ResilienceServices
{
    public static IServiceCollection AddResilience(this IServiceCollection services)
    {
        services.AddSingleton<RetryBudget>();
        services.AddSingleton<ResilienceSignals>();
        return services;
    }
}
