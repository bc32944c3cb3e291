namespace ValueCanvas.InferenceProxy.Admission;

internal static class AdmissionServices
{
    public static IServiceCollection AddAdmission(this IServiceCollection services)
    {
        services.AddSingleton<AdmissionMetrics>();
        services.AddSingleton<AdmissionQueue>();
        services.AddHostedService(provider => provider.GetRequiredService<AdmissionQueue>());
        return services;
    }
}
