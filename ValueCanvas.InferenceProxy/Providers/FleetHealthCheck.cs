using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>Healthy while all replicas answer, degraded while some do, unhealthy when none does.</summary>
internal sealed class FleetHealthCheck(Fleet fleet) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        var replicas = fleet.Current.Replicas;
        var up = replicas.Count(r => r.State.Status == ReplicaStatus.Up && !r.Upstream.Credentials.IsExhausted);
        var words = $"{up} of {replicas.Length} model servers answer";
        return Task.FromResult(
            up == replicas.Length ? HealthCheckResult.Healthy(words)
            : up > 0 ? HealthCheckResult.Degraded(words)
            : HealthCheckResult.Unhealthy(words));
    }
}
