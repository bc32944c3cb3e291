using Microsoft.Extensions.Diagnostics.HealthChecks;
using StackExchange.Redis;
using ValueCanvas.Core.Health;

namespace ValueCanvas.Core.Caching;

/// <summary>A round trip to Redis; answers within 500 ms, also when the server is frozen.</summary>
public sealed class RedisHealthCheck(IConnectionMultiplexer redis, TimeProvider time) : IHealthCheck
{
    private readonly BoundedProbe _probe = new(_ => redis.GetDatabase().PingAsync(), TimeSpan.FromMilliseconds(500), time);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            await _probe.RunAsync(cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (TimeoutException)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, "Redis does not answer.");
        }
        catch (RedisException exception)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, "Redis cannot be reached.", exception);
        }
    }
}
