using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Core.Redis;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>What one instance of the Api counts with.</summary>
internal sealed class LimiterInstance : IAsyncDisposable
{
    private readonly RedisConnection? _redis;

    private LimiterInstance(RedisConnection? connection, RateLimitingOptions options, TimeProvider time)
    {
        _redis = connection;
        var redis = connection?.Multiplexer;
        var bound = Options.Create(options);
        Gate = new RedisGate("Tests", options.RedisTimeout, options.RedisFailures, time, NullLogger.Instance);
        Local = new LocalLimiter(bound, time);
        var leases = new LeaseKeeper(bound);
        Heart = new RedisHeart(Gate, Local, leases, bound, time, redis);
        Limiter = new RateLimiter(new RedisLimiter(Gate, Local, leases, bound, redis), Local, Heart, time);
    }

    public RedisGate Gate { get; }

    public LocalLimiter Local { get; }

    public RedisHeart Heart { get; }

    public RateLimiter Limiter { get; }

    public static async Task<LimiterInstance> StartAsync(string? redis, RateLimitingOptions options, TimeProvider? time = null)
    {
        RedisConnection? connection = null;
        if (redis is not null)
        {
            var configuration = ConfigurationOptions.Parse(redis);
            (configuration.AbortOnConnectFail, configuration.ConnectTimeout) = (false, 1000);
            connection = new(await ConnectionMultiplexer.ConnectAsync(configuration));
#pragma warning disable CS0618 // As the services' own connection; the newer client has no order, and nothing to be set.
            connection.Multiplexer.PreserveAsyncOrder = false;
#pragma warning restore CS0618
        }

        var instance = new LimiterInstance(connection, options, time ?? TimeProvider.System);
        await instance.Heart.StartAsync(TestContext.Current.CancellationToken);
        if (redis is not null)
            await UntilAsync(() => !instance.Gate.IsOpen);
        return instance;
    }

    /// <summary>The same server, by way of a proxy on this machine.</summary>
    public static string Through(TcpFaultProxy proxy, string redis) =>
        $"127.0.0.1:{proxy.Port},password={ConfigurationOptions.Parse(redis).Password}";

    public static (string Host, int Port) Address(string redis) => ConfigurationOptions.Parse(redis).EndPoints[0] switch
    {
        DnsEndPoint dns => (dns.Host, dns.Port),
        IPEndPoint ip => (ip.Address.ToString(), ip.Port),
        var other => throw new InvalidOperationException(other.ToString()),
    };

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

    public static Task UntilAsync(Func<bool> condition) => UntilAsync(() => Task.FromResult(condition()));

    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        bound.CancelAfter(TimeSpan.FromSeconds(20));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!await condition())
            await tick.WaitForNextTickAsync(bound.Token);
    }
}
