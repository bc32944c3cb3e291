using System.Diagnostics;
using System.Net.Sockets;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>
/// Redis answers now in time and now late, at random: a limit is exceeded by no more than a quarter, a strict one by nothing.
/// </summary>
public sealed class LateRedisTests(ServersFixture servers)
{
    private const int Limit = 200;

    // Longer than the test: what is admitted in all is admitted in one window.
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly RateLimitingOptions _options = new()
    {
        Prefix = $"jitter-{Guid.NewGuid():N}", Heartbeat = TimeSpan.FromMilliseconds(100),
        RedisFailures = 3, MinInstances = LimiterFleet.Size,
    };

    [Fact]
    public async Task Limits_RedisLateForAllInstances_HoldWithinAQuarter()
    {
        var (host, port) = LimiterInstance.Address(servers.Redis);
        await using var proxy = new JitterProxy(host, port);
        await using var fleet = await LimiterFleet.StartAsync(LimiterInstance.Through(proxy, servers.Redis), _options);
        proxy.Delays = true;
        var loads = new[] { LimitAlgorithm.TokenBucket, LimitAlgorithm.SlidingWindow, LimitAlgorithm.FixedWindow }
            .Select(algorithm => (Algorithm: algorithm, Load: fleet.Load(LimitTestData.Policy(algorithm, Limit, Window)))).ToArray();

        await FleetLoad.RunAsync(2);

        var results = await Task.WhenAll(loads.Select(async load => (load.Algorithm, load.Load, Result: await load.Load.StopAsync())));
        foreach (var (algorithm, load, result) in results)
        {
            var most = Limit * (algorithm == LimitAlgorithm.TokenBucket ? 1 + result.Elapsed / Window : 1);
            Assert.True(load.Late > 0);
            Assert.InRange(result.Admitted, Limit / 4, (long)(1.25 * most));
        }
    }

    [Fact]
    public async Task Concurrency_RedisLateForAllInstances_HoldsWithinAQuarter()
    {
        var charge = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.Concurrency, 40, Window), prefix: _options.Prefix);
        var (host, port) = LimiterInstance.Address(servers.Redis);
        await using var proxy = new JitterProxy(host, port);
        await using var fleet = await LimiterFleet.StartAsync(LimiterInstance.Through(proxy, servers.Redis), _options);
        proxy.Delays = true;
        var (running, worst, late) = (0, 0, 0);

        await Task.WhenAll(fleet.Instances.SelectMany(instance => Enumerable.Range(0, 20).Select(async _ =>
        {
            for (var i = 0; i < 10; i++)
            {
                var decision = await instance.AskAsync(charge);
                Interlocked.Add(ref late, decision.IsLate ? 1 : 0);
                if (decision.Allowed)
                {
                    var now = Interlocked.Increment(ref running);
                    int seen;
                    while ((seen = Volatile.Read(ref worst)) < now && Interlocked.CompareExchange(ref worst, now, seen) != seen)
                    {
                    }
                }

                await FleetLoad.RunAsync(0.02);
                if (!decision.Allowed)
                    continue;
                Interlocked.Decrement(ref running);
                await instance.Limiter.SettleAsync(decision, 0);
            }
        })));

        Assert.True(late > 0);
        Assert.InRange(worst, 1, 50);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(LimiterFleet.Size)]
    public async Task Strict_RedisLate_NeverAdmitsMoreThanTheLimit(int instances)
    {
        _options.MinInstances = instances;
        var (host, port) = LimiterInstance.Address(servers.Redis);
        await using var proxy = new JitterProxy(host, port);
        var fleet = new List<LimiterInstance>();
        try
        {
            for (var i = 0; i < instances; i++)
                fleet.Add(await LimiterInstance.StartAsync(LimiterInstance.Through(proxy, servers.Redis), _options));
            proxy.Delays = true;
            var started = Stopwatch.GetTimestamp();
            var algorithms = new[] { LimitAlgorithm.TokenBucket, LimitAlgorithm.SlidingWindow, LimitAlgorithm.FixedWindow };
            var used = await Task.WhenAll(algorithms.Select(algorithm => UseAsync(fleet, algorithm)));

            // Half of what is reserved is used: what is given back can be had again.
            var refilled = (int)(Limit * (Stopwatch.GetElapsedTime(started) / Window));
            Assert.InRange(used[0], Limit / 2, Limit + refilled);
            Assert.All(used[1..], tokens => Assert.InRange(tokens, Limit / 2, Limit));
        }
        finally
        {
            foreach (var instance in fleet)
                await instance.DisposeAsync();
        }
    }

    private async Task<int> UseAsync(List<LimiterInstance> fleet, LimitAlgorithm algorithm)
    {
        var policy = LimitTestData.Policy(algorithm, Limit, Window, unit: LimitUnit.Tokens, mode: TokenMode.Strict) with
        {
            MaxWait = TimeSpan.FromSeconds(1),
        };
        var charge = LimitTestData.Charge(policy, 10, _options.Prefix);
        var used = 0;
        await Task.WhenAll(fleet.SelectMany(instance => Enumerable.Range(0, 8).Select(async _ =>
        {
            for (var i = 0; i < 12; i++)
            {
                var decision = await instance.AskAsync(charge);
                if (!decision.Allowed)
                    continue;
                Interlocked.Add(ref used, 5);
                await instance.Limiter.SettleAsync(decision, 5);
            }
        })));
        return used;
    }

    /// <summary>Passes everything on, one in two answers late.</summary>
    private sealed class JitterProxy(string host, int port) : TcpFaultProxy(host, port)
    {
        public bool Delays { get; set; }

        protected override async Task<bool> PassAsync(
            ReadOnlyMemory<byte> bytes, TcpClient from, TcpClient to, bool fromClient, CancellationToken stop)
        {
            if (Delays && !fromClient && Random.Shared.Next(2) == 0)
                await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(10, 80)), TimeProvider.System, stop);
            await to.GetStream().WriteAsync(bytes, stop);
            return true;
        }
    }
}
