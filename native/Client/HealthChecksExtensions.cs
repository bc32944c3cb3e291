using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Aspire.Client;

internal static class HealthChecksExtensions
{
    /// <summary>Adds the health check once, however often the client is added.</summary>
    public static void TryAddHealthCheck<T>(this IHostApplicationBuilder builder, string name) where T : class, IHealthCheck
    {
        if (builder.Properties.TryAdd($"Aspire.HealthChecks.{name}", true))
        {
            builder.Services.AddHealthChecks().AddCheck<T>(name);
        }
    }
}
