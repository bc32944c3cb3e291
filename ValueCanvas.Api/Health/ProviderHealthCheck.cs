using Microsoft.Extensions.Diagnostics.HealthChecks;
using ValueCanvas.Api.Providers;
using ValueCanvas.Core.Inference;
using ValueCanvas.ServiceDefaults.Health;

namespace ValueCanvas.Api.Health;

/// <summary>Each provider of models; degraded while one of them cannot answer. Whether any can is the check <c>inference</c>.</summary>
internal sealed class ProviderHealthCheck(ProviderFleet fleet, TimeProvider time) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            var now = time.GetUtcNow();
            var parts = (await fleet.ReadAsync(cancellationToken)).ToDictionary(
                ProviderView.NameOf, provider => (object)ProviderView.Of(provider, now).Status);
            var down = parts.Where(part => part.Value is HealthNames.Unhealthy).Select(part => part.Key).ToArray();
            return down.Length == 0
                ? HealthCheckResult.Healthy(data: parts)
                : new(context.Registration.FailureStatus, $"Not available: {string.Join(", ", down)}.", data: parts);
        }
        catch (InferenceException exception)
        {
            return new(context.Registration.FailureStatus, "The inference proxy does not say.", exception);
        }
    }
}
