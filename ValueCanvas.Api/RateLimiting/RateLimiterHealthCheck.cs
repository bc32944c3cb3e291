using Microsoft.Extensions.Diagnostics.HealthChecks;
using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>Degraded while the limits are counted in memory, though Redis should count them for all instances.</summary>
internal sealed class RateLimiterHealthCheck(RedisGate gate, RedisLimiter redis) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(redis.Exists && gate.IsOpen
            ? new HealthCheckResult(context.Registration.FailureStatus, "Redis does not count: each instance admits its share.")
            : HealthCheckResult.Healthy());
}
