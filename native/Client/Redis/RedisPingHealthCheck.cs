using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using StackExchange.Redis;

namespace Aspire.Client;

/// <summary>Pings the server. Bounded here, because this client's asynchronous calls never time out on a frozen server.</summary>
internal sealed class RedisPingHealthCheck(IServiceProvider services, TimeProvider? timeProvider = null) : IHealthCheck
{
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            var connection = services.GetRequiredService<IConnectionMultiplexer>();
            var patience = TimeSpan.FromMilliseconds(connection.TimeoutMilliseconds);
            await connection.GetDatabase().PingAsync().WaitAsync(patience, timeProvider ?? TimeProvider.System, cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (Exception exception) when (exception is RedisException or TimeoutException or InvalidOperationException)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, exception: exception);
        }
    }
}
