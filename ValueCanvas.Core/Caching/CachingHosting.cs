using System.Diagnostics.Metrics;
using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;
using StackExchange.Redis;
using ValueCanvas.Core.Caching.Flights;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Caching.Records;
using ValueCanvas.Core.Caching.Tags;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Core.Caching;

public static class CachingHosting
{
    /// <summary>
    /// Adds the response cache, whose handler stands in the HTTP client "inference". It uses Redis and PostgreSQL where they have been
    /// added, and works without.
    /// </summary>
    public static IServiceCollection AddResponseCache(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<IValidateOptions<ResponseCacheOptions>, OptionsValidator>();
        services.AddOptions<ResponseCacheOptions>()
            .BindConfiguration(ResponseCacheOptions.Section)
            .Configure<IConfiguration>(ReadVariables)
            .ValidateOnStart();
        services.AddSingleton(provider => provider.GetRequiredService<IOptions<ResponseCacheOptions>>().Value);

        // The levels.
        services.AddSingleton(provider => new MemoryLevel(provider.GetRequiredService<ResponseCacheOptions>().MaxMemoryBytes));
        services.AddSingleton(provider => new Seal(provider.GetRequiredService<IConfiguration>()[InferenceHeaders.KeySetting]));
        services.AddSingleton(provider => new RedisParts(provider));
        services.AddSingleton(provider => provider.GetRequiredService<RedisParts>().Level);
        services.AddHostedService(provider => provider.GetRequiredService<RedisParts>().Pulse);

        // Calls under way.
        services.AddSingleton<FlightDirectory>();
        services.AddSingleton<StepFormat>();
        services.AddSingleton(provider => provider.GetRequiredService<RedisParts>().Exchange);
        services.AddHostedService(provider => provider.GetRequiredService<FlightExchange>());
        services.AddSingleton<FlightFollower>();
        services.AddSingleton<FlightCaller>();
        services.AddSingleton<FlightCollector>();
        services.AddSingleton<FlightPilot>();

        // What may be used, and what is counted.
        services.AddSingleton<Invalidations>();
        services.AddSingleton<AnsweringModels>();
        services.AddSingleton(provider => new InvalidationFollower(
            provider.GetRequiredService<Invalidations>(),
            provider.GetRequiredService<ResponseCacheOptions>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<InvalidationFollower>>(),
            provider.GetService<NpgsqlDataSource>()));
        services.AddHostedService(provider => provider.GetRequiredService<InvalidationFollower>());
        services.AddSingleton(provider => new CacheMetrics(
            provider.GetRequiredService<IMeterFactory>(),
            () => provider.GetRequiredService<MemoryLevel>().Bytes,
            () => provider.GetRequiredService<FlightDirectory>().Count));
        services.AddSingleton<CacheRecords>();
        services.AddHostedService(provider => new RecordWriter(
            provider.GetRequiredService<CacheRecords>(),
            provider.GetRequiredService<ResponseCacheOptions>(),
            provider.GetRequiredService<CacheMetrics>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<RecordWriter>>(),
            provider.GetService<NpgsqlDataSource>()));

        services.AddSingleton<ResponseCache>();
        services.AddTransient<ResponseCacheHandler>();
        services.AddSingleton(provider => new CacheInvalidator(
            provider.GetRequiredService<TenantDatabase>(), provider.GetRequiredService<InvalidationFollower>()));
        services.AddSingleton<CacheStatistics>();
        return services;
    }

    private static void ReadVariables(ResponseCacheOptions options, IConfiguration configuration)
    {
        if (configuration[ResponseCacheOptions.EnabledSetting] is { Length: > 0 } enabled)
        {
            options.Enabled = bool.TryParse(enabled, out var isEnabled)
                ? isEnabled
                : throw new OptionsValidationException(
                    "", typeof(ResponseCacheOptions), [$"{ResponseCacheOptions.EnabledSetting} is '{enabled}'; it must be true or false."]);
        }

        if (configuration[ResponseCacheOptions.TtlSetting] is { Length: > 0 } ttl)
        {
            options.Ttl =
                int.TryParse(ttl, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? TimeSpan.FromSeconds(seconds)
                : TimeSpan.TryParse(ttl, CultureInfo.InvariantCulture, out var time) ? time
                : throw new OptionsValidationException(
                    "", typeof(ResponseCacheOptions),
                    [$"{ResponseCacheOptions.TtlSetting} is '{ttl}'; give seconds, or a time such as 24:00:00."]);
        }
    }

    /// <summary>What shares the gate before Redis, which may not be there.</summary>
    private sealed class RedisParts
    {
        public RedisParts(IServiceProvider services)
        {
            var (options, time) = (services.GetRequiredService<ResponseCacheOptions>(), services.GetRequiredService<TimeProvider>());
            var (redis, flights) = (services.GetService<IConnectionMultiplexer>(), services.GetRequiredService<FlightDirectory>());
            redis = options.Enabled ? redis : null;
            var gate = new RedisGate(
                "Answers of models are kept in each instance's memory alone",
                options.RedisTimeout,
                options.RedisFailures,
                time,
                services.GetRequiredService<ILogger<RedisGate>>());
            Level = new RedisLevel(options, new AnswerFormat(services.GetRequiredService<Seal>(), options.MaxAnswerBytes), gate, redis);
            Pulse = new RedisPulse(options, gate, Level, flights, time, redis);
            Exchange = new FlightExchange(options, flights, services.GetRequiredService<StepFormat>(), gate, time, redis);
        }

        public RedisLevel Level { get; }

        public RedisPulse Pulse { get; }

        public FlightExchange Exchange { get; }
    }

    private sealed class OptionsValidator : IValidateOptions<ResponseCacheOptions>
    {
        public ValidateOptionsResult Validate(string? name, ResponseCacheOptions options) =>
            options.Problems().ToArray() is { Length: > 0 } problems ? ValidateOptionsResult.Fail(problems) : ValidateOptionsResult.Success;
    }
}
