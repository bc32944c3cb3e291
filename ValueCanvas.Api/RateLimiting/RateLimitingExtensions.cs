using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.RateLimiting.Admin;
using ValueCanvas.Api.RateLimiting.Events;
using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Api.RateLimiting.Subjects;
using ValueCanvas.Api.RateLimiting.Tokens;
using ValueCanvas.Api.Responses;
using ValueCanvas.Core.Changes;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Api.RateLimiting;

internal static class RateLimitingExtensions
{
    /// <summary>Needs the database; uses Redis where there is one.</summary>
    public static IServiceCollection AddRateLimiting(this IServiceCollection services)
    {
        services.AddSingleton<IValidateOptions<RateLimitingOptions>, RateLimitingOptionsCheck>();
        services.AddOptions<RateLimitingOptions>().BindConfiguration(RateLimitingOptions.Section).ValidateOnStart();

        services.AddSingleton<SubjectNames>();
        services.AddSingleton<PolicyCatalog>();
        services.AddSingleton<LivePolicyStore>();
        services.AddChangeFollower<LivePolicyFollower>();

        services.AddSingleton(LimiterGate);
        services.AddSingleton<LeaseKeeper>();
        services.AddHosted<RedisHeart>();
        services.AddSingleton<RedisLimiter>();
        services.AddSingleton<LocalLimiter>();
        services.AddSingleton<RateLimiter>();
        services.AddSingleton<RequestLimits>();
        services.AddSingleton<StrangerLimits>();

        services.AddSingleton<TokenEstimator>();
        services.AddSingleton<BodyBuffer>();
        services.AddSingleton<LimitEvents>();
        services.AddHosted<LimitEventWriter>();
        services.AddSingleton<LimitMetrics>();
        services.AddHealthChecks().AddCheck<RateLimiterHealthCheck>("rate_limiter", HealthStatus.Degraded);
        return services.AddJson(LimitContext.Default);
    }

    /// <summary>Comes after the callers are known, and before everything that costs.</summary>
    public static IApplicationBuilder UseRateLimiting(this IApplicationBuilder app) => app.UseMiddleware<RateLimiting>();

    private static RedisGate LimiterGate(IServiceProvider services)
    {
        var options = services.GetRequiredService<IOptions<RateLimitingOptions>>().Value;
        return new RedisGate(
            "Rate limits are counted in memory",
            options.RedisTimeout,
            options.RedisFailures,
            services.GetRequiredService<TimeProvider>(),
            services.GetRequiredService<ILogger<RedisGate>>());
    }

    private static void AddHosted<T>(this IServiceCollection services) where T : class, IHostedService
    {
        services.AddSingleton<T>();
        services.AddHostedService(provider => provider.GetRequiredService<T>());
    }
}
