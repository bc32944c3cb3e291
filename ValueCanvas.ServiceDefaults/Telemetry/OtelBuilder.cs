using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;

namespace ValueCanvas.ServiceDefaults.Telemetry;

/// <summary>The SDK's builder over a service collection; the package that usually brings one is not needed for more than this.</summary>
internal sealed class OtelBuilder(IServiceCollection services) : IOpenTelemetryBuilder
{
    public IServiceCollection Services { get; } = services;
}
