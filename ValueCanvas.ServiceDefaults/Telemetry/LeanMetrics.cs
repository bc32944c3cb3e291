using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Metrics;

namespace ValueCanvas.ServiceDefaults.Telemetry;

/// <summary>Leaves out the frameworks' instruments that are written several times a request and say nothing that our own do not.</summary>
public static class LeanMetrics
{
    private static readonly string[] Unwanted = ["http.client.", "http.server.active_requests", "aspnetcore.routing."];

    /// <summary>For a service under load.</summary>
    public static void AddLeanMetrics(this IServiceCollection services) =>
        services.ConfigureOpenTelemetryMeterProvider(metrics => metrics.AddView(instrument =>
            Array.Exists(Unwanted, name => instrument.Name.StartsWith(name, StringComparison.Ordinal))
                ? MetricStreamConfiguration.Drop : null));
}
