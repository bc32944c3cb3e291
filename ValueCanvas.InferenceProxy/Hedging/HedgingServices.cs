namespace ValueCanvas.InferenceProxy.Hedging;

internal static class HedgingServices
{
    public static IServiceCollection AddHedging(this IServiceCollection services)
    {
        services.AddSingleton<HedgeBudget>();
        services.AddSingleton<HedgeMetrics>();
        services.AddSingleton<Hedger>();
        return services;
    }
}
