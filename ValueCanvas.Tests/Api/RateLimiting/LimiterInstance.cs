using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>What one instance of the Api counts with.</summary>
internal sealed class LimiterInstance : IAsyncDisposable
{
    private readonly IConnectionMultiplexer? _redis;

    private LimiterInstance(IConnectionMultiplexer? redis, RateLimitingOptions options)
    {
        _redis = redis;
        var bound = Options.Create(options);
        Gate = new RedisGate("Tests", options.RedisTimeout, options.RedisFailures, TimeProvider.System, NullLogger.Instance);
        Local = new LocalLimiter(bound, TimeProvider.System);
        var leases = new LeaseKeeper(bound);
        Heart = new RedisHeart(Gate, leases, bound, TimeProvider.System, redis);
        Limiter = new RateLimiter(new RedisLimiter(Gate, Local, leases, bound, redis), Local, Heart, TimeProvider.System);
    }

    public RedisGate Gate { get; }

    public LocalLimiter Local { get; }

    public RedisHeart Heart { get; }

    public RateLimiter Limiter { get; }

    public static async Task<LimiterInstance> StartAsync(string? redis, RateLimitingOptions options)
    {
        IConnectionMultiplexer? connection = null;
        if (redis is not null)
        {
            var configuration = ConfigurationOptions.Parse(redis);
            (configuration.AbortOnConnectFail, configuration.ConnectTimeout) = (false, 1000);
            connection = await ConnectionMultiplexer.ConnectAsync(configuration);
        }

        var instance = new LimiterInstance(connection, options);
        await instance.Heart.StartAsync(TestContext.Current.CancellationToken);
        if (redis is not null)
            await UntilAsync(() => !instance.Gate.IsOpen);
        return instance;
    }

    public async Task<LimitDecision> AskAsync(params Charge[] charges) =>
        await Limiter.ChargeAsync(charges, TestContext.Current.CancellationToken);

    /// <summary>As if the process had been killed: nothing is given back.</summary>
    public async Task CrashAsync()
    {
        _redis?.Dispose();
        await Heart.StopAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await Heart.StopAsync(CancellationToken.None);
        Heart.Dispose();
        _redis?.Dispose();
    }

    public static async Task UntilAsync(Func<bool> condition)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        bound.CancelAfter(TimeSpan.FromSeconds(20));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!condition())
            await tick.WaitForNextTickAsync(bound.Token);
    }
}
