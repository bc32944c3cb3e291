using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace ValueCanvas.ServiceDefaults.Caching;

public static class CacheExtensions
{
    /// <summary>The connection string that Redis is found under.</summary>
    public const string ConnectionName = "cache";

    /// <summary>
    /// Adds Redis (<c>IConnectionMultiplexer</c>) and the health check <c>redis</c>, which degrades and never fails readiness. The service
    /// starts without Redis, and the connection comes back by itself. Bound every call: the client's asynchronous calls do not.
    /// With <c>REDIS_ENABLED=false</c> nothing is added, nor where none is named and none is required: take <c>IConnectionMultiplexer?</c>
    /// with the default null.
    /// </summary>
    /// <exception cref="InvalidOperationException">It is required, and there is neither <c>ConnectionStrings:cache</c> nor
    /// <c>REDIS_HOST</c>.</exception>
    public static IHostApplicationBuilder AddValueCanvasCache(this IHostApplicationBuilder builder, bool required = true)
    {
        builder.Services.TryAddSingleton(TimeProvider.System);
        if (!RedisVariables.IsEnabled(builder.Configuration))
            return builder;

        var named = RedisVariables.ConnectionString(builder.Configuration);
        if (named is null && string.IsNullOrEmpty(builder.Configuration.GetConnectionString(ConnectionName)))
        {
            return required
                ? throw new InvalidOperationException(
                    $"ConnectionStrings:{ConnectionName} is missing: set it to Redis' connection string, or REDIS_HOST to its host.")
                : builder;
        }

        builder.AddRedisClient(
            ConnectionName,
            settings =>
            {
                settings.ConnectionString = named ?? settings.ConnectionString;
                settings.DisableHealthChecks = true;
                // Connecting blocks for a moment when Redis is away: at the start, not in the first request.
                settings.DisableAutoActivation = false;
            },
            options =>
            {
                options.AbortOnConnectFail = false;
                options.ConnectTimeout = 1000;
                options.ConnectRetry = 1;
                options.SyncTimeout = 1000;
                options.KeepAlive = 10;
            });

        builder.Services.AddSingleton<RedisHealthCheck>();
        builder.Services.AddHealthChecks().AddCheck<RedisHealthCheck>("redis", HealthStatus.Degraded);
        return builder;
    }
}
