using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Tests.Core.Caching;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>Several instances, and a Redis that goes away, freezes, is slow, forgets and comes back, under load.</summary>
public sealed class FleetTests(ServersFixture servers)
{
    private const int Instances = 4;
    private const int Clients = 8;

    private static readonly TimeSpan Added = TimeSpan.FromMilliseconds(50);

    private readonly RateLimitingOptions _options = new()
    {
        Prefix = $"fleet-{Guid.NewGuid():N}",
        Heartbeat = TimeSpan.FromMilliseconds(100),
        MinInstances = Instances,
    };

    // Where Redis itself is tried: a machine with other work must not make an answer late.
    private static readonly TimeSpan Patient = TimeSpan.FromSeconds(1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(nameof(LimitAlgorithm.TokenBucket))]
    [InlineData(nameof(LimitAlgorithm.SlidingWindow))]
    [InlineData(nameof(LimitAlgorithm.FixedWindow))]
    public async Task FourInstances_UnderLoad_AdmitNoMoreThanOneWould(string name)
    {
        _options.RedisTimeout = Patient;
        var policy = LimitTestData.Policy(Enum.Parse<LimitAlgorithm>(name), 200, TimeSpan.FromSeconds(1));
        await using var fleet = await Fleet.StartAsync(servers.Redis, _options);

        var load = await fleet.LoadAsync(policy, TimeSpan.FromSeconds(2.5));

        var seconds = load.Elapsed.TotalSeconds;
        var most = policy.Algorithm switch
        {
            LimitAlgorithm.TokenBucket => 200 + 200 * seconds,
            // So many whole windows, and the one that had begun.
            LimitAlgorithm.SlidingWindow => 200 * Math.Ceiling(seconds),
            _ => 200 * (Math.Ceiling(seconds) + 1),
        };
        Assert.InRange(load.Admitted, 400, most);
    }

    [Fact]
    public async Task Concurrency_FourInstances_NeverMoreThanTheLimitAtOnce()
    {
        _options.RedisTimeout = Patient;
        var charge = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.Concurrency, 5, TimeSpan.FromSeconds(1)), prefix: _options.Prefix);
        await using var fleet = await Fleet.StartAsync(servers.Redis, _options);
        var (running, worst, admitted) = (0, 0, 0);

        await Task.WhenAll(fleet.Instances.SelectMany(instance => Enumerable.Range(0, Clients).Select(async _ =>
        {
            for (var i = 0; i < 40; i++)
            {
                var decision = await instance.AskAsync(charge);
                if (!decision.Allowed)
                    continue;
                Interlocked.Increment(ref admitted);
                var now = Interlocked.Increment(ref running);
                InterlockedMax(ref worst, now);
                await Task.Yield();
                Interlocked.Decrement(ref running);
                await instance.Limiter.SettleAsync(decision, 0);
            }
        })));

        Assert.InRange(worst, 1, 5);
        Assert.True(admitted > 5);
        // Nothing leaked.
        for (var i = 0; i < 5; i++)
            Assert.True((await fleet.Instances[0].AskAsync(charge)).Allowed);
    }

    [Fact]
    public async Task Concurrency_InstanceCrashes_ItsPlacesComeBack()
    {
        _options.LeaseLifetime = TimeSpan.FromSeconds(1);
        var charge = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.Concurrency, 2, TimeSpan.FromSeconds(1)), prefix: _options.Prefix);
        await using var other = await LimiterInstance.StartAsync(servers.Redis, _options);
        await using var crashing = await LimiterInstance.StartAsync(servers.Redis, _options);
        Assert.True((await crashing.AskAsync(charge)).Allowed);
        Assert.True((await crashing.AskAsync(charge)).Allowed);
        Assert.False((await other.AskAsync(charge)).Allowed);

        // While it lives, they are its own, far beyond the lifetime.
        using (var tick = new PeriodicTimer(TimeSpan.FromSeconds(2.5)))
            await tick.WaitForNextTickAsync(Cancel);
        Assert.False((await other.AskAsync(charge)).Allowed);

        await crashing.CrashAsync();
        await LimiterInstance.UntilAsync(() => other.AskAsync(charge).Result.Allowed);
    }

    [Fact]
    public async Task Redis_StopsAndComesBackEmpty_NobodyWaitsAndTheLimitHolds()
    {
        await using var own = await Servers.StartAsync(Cancel);
        var policy = LimitTestData.Policy(LimitAlgorithm.TokenBucket, 400, TimeSpan.FromSeconds(1));
        await using var fleet = await Fleet.StartAsync(own.Redis, _options);

        var load = fleet.LoadAsync(policy, TimeSpan.FromSeconds(9));
        using var tick = new PeriodicTimer(TimeSpan.FromSeconds(2));
        await tick.WaitForNextTickAsync(Cancel);
        await own.StopRedisAsync(Cancel);
        await tick.WaitForNextTickAsync(Cancel);
        Assert.All(fleet.Instances, instance => Assert.True(instance.Gate.IsOpen));
        await own.StartRedisAsync(Cancel);
        var result = await load;

        Assert.All(fleet.Instances, instance => Assert.False(instance.Gate.IsOpen));
        AssertHeld(result, 400);
    }

    [Fact]
    public async Task Redis_Frozen_NobodyWaitsLongerThan50MsAndTheLimitHolds()
    {
        var direct = ConfigurationOptions.Parse(servers.Redis);
        var (host, port) = Address(direct);
        await using var proxy = new FreezingProxy(host, port);
        var policy = LimitTestData.Policy(LimitAlgorithm.TokenBucket, 400, TimeSpan.FromSeconds(1));
        await using var fleet = await Fleet.StartAsync($"127.0.0.1:{proxy.Port},password={direct.Password}", _options);

        var load = fleet.LoadAsync(policy, TimeSpan.FromSeconds(7));
        using var tick = new PeriodicTimer(TimeSpan.FromSeconds(2));
        await tick.WaitForNextTickAsync(Cancel);
        proxy.Freeze();
        await tick.WaitForNextTickAsync(Cancel);
        Assert.All(fleet.Instances, instance => Assert.True(instance.Gate.IsOpen));
        proxy.Thaw();
        var result = await load;

        Assert.All(fleet.Instances, instance => Assert.False(instance.Gate.IsOpen));
        AssertHeld(result, 400);
    }

    [Fact]
    public async Task Redis_Slow_IsNotWaitedFor()
    {
        var direct = ConfigurationOptions.Parse(servers.Redis);
        var (host, port) = Address(direct);
        await using var proxy = new SlowProxy(host, port, TimeSpan.FromMilliseconds(200));
        var policy = LimitTestData.Policy(LimitAlgorithm.TokenBucket, 400, TimeSpan.FromSeconds(1));
        await using var fleet = await Fleet.StartAsync($"127.0.0.1:{proxy.Port},password={direct.Password}", _options);

        var load = fleet.LoadAsync(policy, TimeSpan.FromSeconds(4));
        using var tick = new PeriodicTimer(TimeSpan.FromSeconds(1));
        await tick.WaitForNextTickAsync(Cancel);
        proxy.IsSlow = true;
        var result = await load;

        Assert.All(fleet.Instances, instance => Assert.True(instance.Gate.IsOpen));
        AssertHeld(result, 400);
        // None has waited but those that were under way when it became slow, and what the machine makes wait anyway.
        var usual = result.Usual.Count(wait => wait > TimeSpan.FromMilliseconds(20)) * Instances;
        Assert.InRange(result.Waits.Count(wait => wait > TimeSpan.FromMilliseconds(20)), 0, Instances * (Clients + 2) * 2 + 2 * usual);
    }

    [Fact]
    public async Task Redis_FlushedUnderLoad_AdmitsAtMostOneWindowMore()
    {
        _options.RedisTimeout = Patient;
        await using var own = await Servers.StartAsync(Cancel);
        using var connection = await ConnectionMultiplexer.ConnectAsync(own.Redis + ",allowAdmin=true");
        var policy = LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 300, TimeSpan.FromSeconds(30));
        await using var fleet = await Fleet.StartAsync(own.Redis, _options);
        Assert.Equal(300, (await fleet.LoadAsync(policy, TimeSpan.FromSeconds(1.5))).Admitted);

        await connection.GetServer(connection.GetEndPoints()[0]).FlushAllDatabasesAsync();
        var after = await fleet.LoadAsync(policy, TimeSpan.FromSeconds(1));

        // Less, in truth: the instances remember, but for the first to ask.
        Assert.InRange(after.Admitted, 0, 300);
        Assert.InRange(after.Admitted, 0, Instances * Clients);
    }

    [Fact]
    public async Task Redis_ForgetsItsScripts_IsGivenThemAgain()
    {
        _options.RedisTimeout = Patient;
        await using var own = await Servers.StartAsync(Cancel);
        using var connection = await ConnectionMultiplexer.ConnectAsync(own.Redis + ",allowAdmin=true");
        await using var instance = await LimiterInstance.StartAsync(own.Redis, _options);
        var charge = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.TokenBucket, 10, TimeSpan.FromSeconds(60)), prefix: _options.Prefix);
        Assert.True((await instance.AskAsync(charge)).Counted);

        await connection.GetServer(connection.GetEndPoints()[0]).ScriptFlushAsync();
        var after = await instance.AskAsync(charge);

        Assert.True(after.Counted);
        Assert.Equal(8, after.Readings[0].Remaining);
    }

    [Fact]
    public async Task Memory_ManySubjects_IsBounded()
    {
        _options.MaxSubjects = 100;
        _options.MinInstances = 1;
        await using var instance = await LimiterInstance.StartAsync(null, _options);
        var policy = LimitTestData.Policy(LimitAlgorithm.TokenBucket, 5, TimeSpan.FromSeconds(60));
        var admitted = 0;
        for (var i = 0; i < 1000; i++)
            admitted += (await instance.AskAsync(LimitTestData.Charge(policy, subject: $"s{i}"))).Allowed ? 1 : 0;

        // Those for whom there is no room share one count: full means refused, not unlimited.
        Assert.InRange(instance.Local.Count, 1, 101);
        Assert.Equal(105, admitted);
    }

    private static void AssertHeld(LoadResult result, long perSecond)
    {
        var most = (perSecond + perSecond * result.Elapsed.TotalSeconds) * 1.25;
        Assert.InRange(result.Admitted, perSecond * result.Elapsed.TotalSeconds / 2, most);
        Assert.True(result.Worst - result.WorstUsual < Added, $"p99.9 {result.Worst}, without Redis {result.WorstUsual}");
    }

    private static void InterlockedMax(ref int target, int value)
    {
        int seen;
        while ((seen = Volatile.Read(ref target)) < value && Interlocked.CompareExchange(ref target, value, seen) != seen)
        {
        }
    }

    private static (string Host, int Port) Address(ConfigurationOptions options) => options.EndPoints[0] switch
    {
        DnsEndPoint dns => (dns.Host, dns.Port),
        IPEndPoint ip => (ip.Address.ToString(), ip.Port),
        var other => throw new InvalidOperationException(other.ToString()),
    };

    /// <param name="Admitted">Requests.</param>
    /// <param name="Elapsed">From the first question to the last answer.</param>
    /// <param name="Waits">How long each answer took.</param>
    /// <param name="Usual">The same at the same time where there is no Redis: what the machine itself makes people wait.</param>
    private sealed record LoadResult(
        long Admitted, TimeSpan Elapsed, IReadOnlyCollection<TimeSpan> Waits, IReadOnlyCollection<TimeSpan> Usual)
    {
        public TimeSpan Worst => Late(Waits);

        public TimeSpan WorstUsual => Late(Usual);

        private static TimeSpan Late(IReadOnlyCollection<TimeSpan> waits) => waits.Order().ElementAt(waits.Count - 1 - waits.Count / 1000);
    }

    private sealed class Fleet(LimiterInstance[] instances, string prefix) : IAsyncDisposable
    {
        public LimiterInstance[] Instances => instances;

        public static async Task<Fleet> StartAsync(string redis, RateLimitingOptions options) => new(
            await Task.WhenAll(Enumerable.Range(0, FleetTests.Instances).Select(_ => LimiterInstance.StartAsync(redis, options))), options.Prefix);

        /// <summary>Every client asks again as soon as it has its answer, with a breath between.</summary>
        public async Task<LoadResult> LoadAsync(LimitPolicy policy, TimeSpan time)
        {
            var charge = LimitTestData.Charge(policy, prefix: prefix);
            var (waits, usual) = (new ConcurrentBag<TimeSpan>(), new ConcurrentBag<TimeSpan>());
            var admitted = 0L;
            await using var alone = await LimiterInstance.StartAsync(null, new RateLimitingOptions());
            var started = Stopwatch.GetTimestamp();
            await Task.WhenAll(instances.Append(alone).SelectMany(instance => Enumerable.Range(0, Clients).Select(async _ =>
            {
                using var breath = new PeriodicTimer(TimeSpan.FromMilliseconds(3));
                var isAlone = ReferenceEquals(instance, alone);
                while (Stopwatch.GetElapsedTime(started) < time)
                {
                    var asked = Stopwatch.GetTimestamp();
                    var decision = await AskAsync(instance);
                    (isAlone ? usual : waits).Add(Stopwatch.GetElapsedTime(asked));
                    if (decision.Allowed && !isAlone)
                        Interlocked.Increment(ref admitted);
                    await breath.WaitForNextTickAsync(Cancel);
                }
            })));
            return new(admitted, Stopwatch.GetElapsedTime(started), waits, usual);

            // Off the caller's thread, as a request is: so both kinds wait for a thread.
            Task<LimitDecision> AskAsync(LimiterInstance instance) => Task.Run(() => instance.AskAsync(charge), Cancel);
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var instance in instances)
                await instance.DisposeAsync();
        }
    }

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
