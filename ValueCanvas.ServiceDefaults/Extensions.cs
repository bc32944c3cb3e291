using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using ValueCanvas.ServiceDefaults.Health;
using ValueCanvas.ServiceDefaults.Http;
using ValueCanvas.ServiceDefaults.Logging;
using ValueCanvas.ServiceDefaults.Shutdown;
using ValueCanvas.ServiceDefaults.Telemetry;

namespace Microsoft.Extensions.Hosting;

/// <summary>What every service of the system has in common. A host calls these two methods, and <c>AddValueCanvasCache</c> where it
/// uses Redis.</summary>
public static class Extensions
{
    /// <summary>
    /// Adds console logs, telemetry by OTLP, health, HTTP client defaults with service discovery and graceful shutdown.
    /// Read from configuration: <c>LOG_LEVEL</c>, the <c>OTEL_*</c> variables, <c>Shutdown:Drain</c>, <c>Shutdown:Timeout</c>,
    /// <c>Health:CheckTimeout</c>, <c>Health:CacheFor</c>. A value that makes no sense stops the start with a message that names its key.
    /// </summary>
    public static TBuilder AddServiceDefaults<TBuilder>(this TBuilder builder) where TBuilder : IHostApplicationBuilder
    {
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.AddConsoleLogs();
        builder.AddTelemetry();
        builder.Services.AddHealth();
        builder.Services.AddHttpClientDefaults();
        builder.Services.AddGracefulShutdown();
        builder.Services.Configure<KestrelServerOptions>(options => options.AddServerHeader = false);
        return builder;
    }

    /// <summary>
    /// Maps, in every environment, <c>/health</c>, <c>/health/live</c>, <c>/health/ready</c> and <c>/ready</c>.
    /// See <see cref="HealthEndpoints"/> for the bodies and the status codes.
    /// </summary>
    public static WebApplication MapDefaultEndpoints(this WebApplication app)
    {
        app.MapHealthEndpoints("/health");
        app.MapReadiness("/ready");
        return app;
    }
}
