using OpenTelemetry.Metrics;

namespace ValueCanvas.InferenceProxy.Telemetry;

/// <summary>Leaves out the frameworks' instruments that are written several times a request and say nothing that the proxy's own do
/// not.</summary>
internal static class LeanMetrics
{
    private static readonly string[] Unwanted = ["http.client.", "http.server.active_requests", "aspnetcore.routing."];

    public static void AddLeanMetrics(this IServiceCollection services) =>
        services.ConfigureOpenTelemetryMeterProvider(metrics => metrics.AddView(instrument =>
            Array.Exists(Unwanted, name => instrument.Name.StartsWith(name, StringComparison.Ordinal))
                ? MetricStreamConfiguration.Drop : null));
}
