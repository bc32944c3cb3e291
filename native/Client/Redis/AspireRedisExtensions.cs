using Aspire.Client;
using Aspire.StackExchange.Redis;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace Microsoft.Extensions.Hosting;

/// <summary>Adds the Redis client.</summary>
public static class AspireRedisExtensions
{
    private const string Section = "Aspire:StackExchange:Redis";

    /// <summary>
    /// Registers one <see cref="IConnectionMultiplexer"/>. It connects when it is first resolved, and unless <c>abortConnect=true</c> is in
    /// the connection string or <paramref name="configureOptions"/> says so, resolving it succeeds with the server away: it keeps trying.
    /// </summary>
    /// <exception cref="InvalidOperationException">On first use, when there is no connection string.</exception>
    public static void AddRedisClient(
        this IHostApplicationBuilder builder,
        string connectionName,
        Action<StackExchangeRedisSettings>? configureSettings = null,
        Action<ConfigurationOptions>? configureOptions = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(connectionName);

        var section = builder.Configuration.GetSection(Section);
        var namedSection = section.GetSection(connectionName);
        var settings = new StackExchangeRedisSettings();
        section.Bind(settings);
        namedSection.Bind(settings);
        settings.ConnectionString = builder.Configuration.GetConnectionString(connectionName) ?? settings.ConnectionString;
        configureSettings?.Invoke(settings);

        builder.Services.AddSingleton<IConnectionMultiplexer>(services =>
        {
            var options = Parse(settings.ConnectionString);
            section.GetSection("ConfigurationOptions").Bind(options);
            namedSection.GetSection("ConfigurationOptions").Bind(options);
            configureOptions?.Invoke(options);
            if (options.EndPoints.Count == 0)
            {
                throw new InvalidOperationException(
                    $"No endpoints specified. Ensure a valid connection string was provided in 'ConnectionStrings:{connectionName}' "
                    + $"or for the '{Section}:ConnectionString' configuration key.");
            }

            var connection = RedisConnection.Open(options, services.GetRequiredService<ILoggerFactory>());
            // When it is disposed this client waits a second for the server's goodbye; by then nothing is under way that matters.
            services.GetService<IHostApplicationLifetime>()?.ApplicationStopped
                .Register(() => connection.Close(allowCommandsToComplete: false));
            return connection;
        });

        if (!settings.DisableAutoActivation)
        {
            builder.Services.AddHostedService<RedisActivation>();
        }

        if (!settings.DisableHealthChecks)
        {
            builder.TryAddHealthCheck<RedisPingHealthCheck>("StackExchange.Redis");
        }
    }

    /// <summary>As Aspire does, a server that is away is retried unless the connection string asks for the opposite.</summary>
    private static ConfigurationOptions Parse(string? connectionString)
    {
        if (string.IsNullOrWhiteSpace(connectionString))
        {
            return new ConfigurationOptions { AbortOnConnectFail = false };
        }

        var options = ConfigurationOptions.Parse(connectionString);
        if (!connectionString.Contains("abortConnect", StringComparison.OrdinalIgnoreCase))
        {
            options.AbortOnConnectFail = false;
        }

        return options;
    }
}
