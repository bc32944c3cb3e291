using Microsoft.Extensions.Diagnostics.HealthChecks;
using ValueCanvas.Api.Providers;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Health;

/// <summary>The circuit breakers of the model servers; degraded while one keeps requests away.</summary>
internal sealed class BreakerHealthCheck(ProviderFleet fleet, TimeProvider time) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            var now = time.GetUtcNow();
            var providers = await fleet.ReadAsync(cancellationToken);
            var breakers = providers.SelectMany(provider => provider.Replicas).SelectMany(replica => replica.Breakers).ToArray();
            var open = breakers.Count(breaker => breaker.Blocks(now));
            var parts = providers.ToDictionary(ProviderView.NameOf, provider => (object)ProviderView.Of(provider, now).State);
            return open == 0
                ? HealthCheckResult.Healthy(data: parts)
                : new(context.Registration.FailureStatus, $"{open} of {breakers.Length} breakers are open.", data: parts);
        }
        catch (InferenceException exception)
        {
            return new(context.Registration.FailureStatus, "The inference proxy does not say.", exception);
        }
    }
}
