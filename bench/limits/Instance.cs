using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.LimitsBench;

/// <summary>What one process of the Api counts with.</summary>
internal sealed class Instance : IAsyncDisposable
{
    public const string Prefix = "bench";

    private readonly IConnectionMultiplexer? _redis;
    private readonly RedisHeart _heart;

    private Instance(IConnectionMultiplexer? redis, TimeSpan? timeout)
    {
        _redis = redis;
        var settings = new RateLimitingOptions { Prefix = Prefix };
        settings.RedisTimeout = timeout ?? settings.RedisTimeout;
        var options = Options.Create(settings);
        Gate = new RedisGate("Bench", settings.RedisTimeout, settings.RedisFailures, TimeProvider.System, NullLogger.Instance);
        var local = new LocalLimiter(options, TimeProvider.System);
        var leases = new LeaseKeeper(options);
        _heart = new RedisHeart(Gate, local, leases, options, TimeProvider.System, redis);
        Limiter = new RateLimiter(new RedisLimiter(Gate, local, leases, options, redis), local, _heart, TimeProvider.System);
    }

    public RedisGate Gate { get; }

    public RateLimiter Limiter { get; }

    /// <param name="redis">Null: memory counts.</param>
    /// <param name="cancellationToken">Ends the waiting for Redis.</param>
    /// <param name="timeout">After this long Redis is not waited for; null: as by default.</param>
    public static async Task<Instance> StartAsync(string? redis, CancellationToken cancellationToken, TimeSpan? timeout = null)
    {
        var instance = new Instance(redis is null ? null : await ConnectAsync(redis), timeout);
        await instance._heart.StartAsync(cancellationToken);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (redis is not null && instance.Gate.IsOpen)
            await tick.WaitForNextTickAsync(cancellationToken);
        return instance;
    }

    // As the services' own connection.
    private static async Task<IConnectionMultiplexer> ConnectAsync(string redis)
    {
        var connection = await ConnectionMultiplexer.ConnectAsync(redis);
#pragma warning disable CS0618 // The newer client has no order, and nothing to be set.
        connection.PreserveAsyncOrder = false;
#pragma warning restore CS0618
        return connection;
    }

    /// <summary>Policies of the kinds that requests have, each with its own scope; the first is the default one's kind.</summary>
    public static Charge[] Charges(int policies, long limit, string subject) =>
    [
        .. Enumerable.Range(0, policies).Select(i => Charge(
            (LimitAlgorithm)(i % 3), limit, TimeSpan.FromSeconds(60), i % 2 == 0 ? 2 : 1, i % 2 == 0 ? subject : "all", $"p{i}")),
    ];

    public static Charge Charge(LimitAlgorithm algorithm, long limit, TimeSpan window, double burst, string subject, string name)
    {
        var policy = new LimitPolicy(name, algorithm, LimitUnit.Requests, LimitScope.Caller, limit, window)
        {
            Burst = algorithm == LimitAlgorithm.TokenBucket ? burst : 1,
        };
        return new(policy, subject, KeyNames.Count(Prefix, policy, subject, 0), limit, (long)(policy.WindowMicros * policy.Burst), 1);
    }

    public async ValueTask DisposeAsync()
    {
        await _heart.StopAsync(CancellationToken.None);
        _heart.Dispose();
        _redis?.Dispose();
    }
}
