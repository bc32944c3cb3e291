using Microsoft.Extensions.Diagnostics.HealthChecks;
using StackExchange.Redis;

namespace ValueCanvas.ServiceDefaults.Caching;

/// <summary>A round trip to Redis; answers within 500 ms, also when the server is frozen.</summary>
public sealed class RedisHealthCheck(IConnectionMultiplexer redis, TimeProvider time) : IHealthCheck
{
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(500);

    // The client may not give up on a frozen server itself: what is still unanswered is waited for again.
    private Task _ping = Task.CompletedTask;

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            if (_ping.IsCompleted)
                _ping = redis.GetDatabase().PingAsync();

            await _ping.WaitAsync(Bound, time, cancellationToken);
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
