using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ValueCanvas.Api.Health;

internal static class HealthHosting
{
    /// <summary>
    /// What this service depends on beside its servers: <c>providers</c>, <c>circuit_breakers</c>, <c>secret_manager</c>. And it stays
    /// ready while the callers that it knows can go on without the database.
    /// </summary>
    public static IServiceCollection AddApiHealth(this IServiceCollection services)
    {
        services.AddSingleton<DatabaseGrace>();
        services.Configure<HealthCheckServiceOptions>(options =>
            options.Registrations.Single(check => check.Name == "database").Factory = provider =>
                provider.GetRequiredService<DatabaseGrace>());
        services.AddHealthChecks()
            .AddCheck<ProviderHealthCheck>("providers", HealthStatus.Degraded)
            .AddCheck<BreakerHealthCheck>("circuit_breakers", HealthStatus.Degraded)
            .AddCheck<SecretHealthCheck>("secret_manager", HealthStatus.Degraded);
        return services;
    }
}
