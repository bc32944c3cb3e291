using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Tests.Core.Caching;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>A Redis that goes away, freezes, is slow, forgets and comes back, under load: nobody waits, and the limits hold.</summary>
public sealed class RedisFaultTests(OwnRedis own) : IClassFixture<OwnRedis>
{
    private const int PerSecond = 400;

    private static readonly LimitPolicy Bucket = LimitTestData.Policy(LimitAlgorithm.TokenBucket, PerSecond, TimeSpan.FromSeconds(1));

    private readonly RateLimitingOptions _options = new()
    {
        Prefix = $"faults-{Guid.NewGuid():N}",
        Heartbeat = TimeSpan.FromMilliseconds(100),
        MinInstances = LimiterFleet.Size,
    };

    // For when Redis itself is tried: a machine with other work must not make an answer late.
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(10);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Redis_StopsAndComesBackEmpty_NobodyWaitsAndTheLimitHolds()
    {
        await using var fleet = await LimiterFleet.StartAsync(own.Servers.Redis, _options);
        var load = fleet.Load(Bucket);
        await FleetLoad.RunAsync(0.5);
        await own.Servers.StopRedisAsync(Cancel);
        await fleet.UntilAllAsync(open: true);
        await FleetLoad.RunAsync(1);

        await own.Servers.StartRedisAsync(Cancel);
        await fleet.UntilAllAsync(open: false);
        await FleetLoad.RunAsync(0.5);

        (await load.StopAsync()).AssertHeld(PerSecond);
    }

    [Fact]
    public async Task Redis_Frozen_NobodyWaitsAndTheLimitHolds()
    {
        var (host, port) = LimiterInstance.Address(own.Servers.Redis);
        await using var proxy = new FreezingProxy(host, port);
        await using var fleet = await LimiterFleet.StartAsync(LimiterInstance.Through(proxy, own.Servers.Redis), _options);
        var load = fleet.Load(Bucket);
        await FleetLoad.RunAsync(0.5);
        proxy.Freeze();
        await fleet.UntilAllAsync(open: true);
        await FleetLoad.RunAsync(1);

        proxy.Thaw();
        await fleet.UntilAllAsync(open: false);
        await FleetLoad.RunAsync(0.5);

        (await load.StopAsync()).AssertHeld(PerSecond);
    }

    [Fact]
    public async Task Redis_Slow_IsNotWaitedFor()
    {
        var (host, port) = LimiterInstance.Address(own.Servers.Redis);
        await using var proxy = new SlowProxy(host, port, TimeSpan.FromMilliseconds(200));
        await using var fleet = await LimiterFleet.StartAsync(LimiterInstance.Through(proxy, own.Servers.Redis), _options);
        var load = fleet.Load(Bucket);
        await FleetLoad.RunAsync(0.5);

        var before = load.Late;
        proxy.IsSlow = true;
        await fleet.UntilAllAsync(open: true);
        // An answer that was fast, and under way, may have closed a gate once more; from now on all are slow.
        await FleetLoad.RunAsync(0.5);
        await fleet.UntilAllAsync(open: true);
        var noticed = load.Late;
        await FleetLoad.RunAsync(1);

        // At most those that were under way when it became slow, until that was noticed; since then nobody.
        Assert.InRange(noticed - before, 0, 2 * LimiterFleet.Size * (LimiterFleet.Clients + _options.RedisFailures));
        Assert.Equal(noticed, load.Late);
        (await load.StopAsync()).AssertHeld(PerSecond);
    }

    [Fact]
    public async Task Redis_FlushedUnderLoad_AdmitsAtMostOneWindowMore()
    {
        _options.RedisTimeout = Patient;
        using var connection = await RedisConnection.OpenAsync(own.Servers.Redis + ",allowAdmin=true");
        var policy = LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 300, TimeSpan.FromMinutes(10));
        await using var fleet = await LimiterFleet.StartAsync(own.Servers.Redis, _options);
        var load = fleet.Load(policy);
        await LimiterInstance.UntilAsync(() => load.Admitted == 300);

        await connection.Server.FlushAllDatabasesAsync();
        await FleetLoad.RunAsync(1);

        // Less than that, in truth: the instances remember, but for the first to ask.
        Assert.InRange((await load.StopAsync()).Admitted, 300, 300 + 2 * LimiterFleet.Size * LimiterFleet.Clients);
    }

    [Fact]
    public async Task Redis_ForgetsItsScripts_IsGivenThemAgain()
    {
        _options.RedisTimeout = Patient;
        using var connection = await RedisConnection.OpenAsync(own.Servers.Redis + ",allowAdmin=true");
        await using var instance = await LimiterInstance.StartAsync(own.Servers.Redis, _options);
        var policy = LimitTestData.Policy(LimitAlgorithm.TokenBucket, 10, TimeSpan.FromDays(1));
        var charge = LimitTestData.Charge(policy, prefix: _options.Prefix);
        Assert.True((await instance.AskAsync(charge)).Counted);

        await connection.Server.ScriptFlushAsync();
        var after = await instance.AskAsync(charge);

        Assert.True(after.Counted);
        Assert.Equal(8, after.Readings[0].Remaining);
    }

    [Fact]
    public async Task Api_RedisFreezesStopsAndComesBack_AnswersAndRefusesButNeverFails()
    {
        var (host, port) = LimiterInstance.Address(own.Servers.Redis);
        await using var proxy = new FreezingProxy(host, port);
        await using var inference = await FakeInference.StartAsync();
        await using var api = new ApiHost(
            inference.Address,
            cache: LimiterInstance.Through(proxy, own.Servers.Redis),
            settings: LimitHttpTests.Policy("p", ("Limit", "50"), ("Window", "00:00:01"), ("Routes:0", "GET /v1/models")));
        var statuses = new ConcurrentDictionary<HttpStatusCode, int>();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var clients = Task.WhenAll(Enumerable.Range(0, LimiterFleet.Clients).Select(async _ =>
        {
            while (!over.IsCancellationRequested)
            {
                using var response = await api.GetAsync("/v1/models");
                statuses.AddOrUpdate(response.StatusCode, 1, (_, count) => count + 1);
            }
        }));

        await UntilHealthAsync(api, "healthy");
        proxy.Freeze();
        await UntilHealthAsync(api, "degraded");
        proxy.Thaw();
        await UntilHealthAsync(api, "healthy");
        await own.Servers.StopRedisAsync(Cancel);
        await UntilHealthAsync(api, "degraded");
        await own.Servers.StartRedisAsync(Cancel);
        await UntilHealthAsync(api, "healthy");
        await over.CancelAsync();
        await clients;

        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.TooManyRequests], statuses.Keys.Order());
    }

    private static Task UntilHealthAsync(ApiHost api, string status) => InferenceProxy.ProxyHost.UntilAsync(async () =>
    {
        using var health = await api.GetAsync("/health");
        return (await ApiHost.JsonAsync(health)).GetProperty("checks").GetProperty("rate_limiter").GetString() == status;
    });

    /// <summary>Passes everything on, late.</summary>
    private sealed class SlowProxy(string host, int port, TimeSpan delay) : TcpFaultProxy(host, port)
    {
        public bool IsSlow { get; set; }

        protected override async Task<bool> PassAsync(
            ReadOnlyMemory<byte> bytes, TcpClient from, TcpClient to, bool fromClient, CancellationToken stop)
        {
            if (IsSlow && fromClient)
                await Task.Delay(delay, TimeProvider.System, stop);
            await to.GetStream().WriteAsync(bytes, stop);
            return true;
        }
    }
}

/// <summary>A Redis that a test class may stop and flush.</summary>
public sealed class OwnRedis : IAsyncLifetime
{
    public Servers Servers { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Servers = await Servers.StartAsync(TestContext.Current.CancellationToken, postgres: false);

    public ValueTask DisposeAsync() => Servers.DisposeAsync();
}
