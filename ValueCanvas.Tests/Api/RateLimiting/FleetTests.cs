using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>Several instances admit together what one would; a place that one holds comes back when it dies.</summary>
public sealed class FleetTests(ServersFixture servers)
{
    private readonly RateLimitingOptions _options = new()
    {
        Prefix = $"fleet-{Guid.NewGuid():N}",
        Heartbeat = TimeSpan.FromMilliseconds(100),
        // A machine with other work must not make an answer late: here Redis alone is to decide.
        RedisTimeout = TimeSpan.FromSeconds(10),
    };


    [Fact]
    public async Task FourInstances_UnderLoad_AdmitNoMoreThanOneWould()
    {
        await using var fleet = await LimiterFleet.StartAsync(servers.Redis, _options);
        var loads = new[] { LimitAlgorithm.TokenBucket, LimitAlgorithm.SlidingWindow, LimitAlgorithm.FixedWindow }
            .Select(algorithm => LimitTestData.Policy(algorithm, 200, TimeSpan.FromSeconds(1)))
            .Select(policy => (policy.Algorithm, Load: fleet.Load(policy)))
            .ToArray();

        await FleetLoad.RunAsync(2.5);
        // On a machine that stood still meanwhile a little longer; how many there may be goes by the time that it took.
        await LimiterInstance.UntilAsync(() => Array.TrueForAll(loads, load => load.Load.Admitted >= 300));

        foreach (var (algorithm, load) in loads)
        {
            var result = await load.StopAsync();
            var seconds = result.Elapsed.TotalSeconds;
            var most = algorithm == LimitAlgorithm.TokenBucket ? 200 + 200 * seconds : 200 * Math.Ceiling(seconds);
            Assert.Equal(0, load.Late);
            Assert.InRange(result.Admitted, 300, most);
        }
    }

    [Fact]
    public async Task Concurrency_FourInstances_NeverMoreThanTheLimitAtOnce()
    {
        var charge = LimitTestData.Charge(
            LimitTestData.Policy(LimitAlgorithm.Concurrency, 5, TimeSpan.FromSeconds(1)),
            prefix: _options.Prefix);
        await using var fleet = await LimiterFleet.StartAsync(servers.Redis, _options);
        var (running, worst, admitted) = (0, 0, 0);

        await Task.WhenAll(fleet.Instances.SelectMany(instance => Enumerable.Range(0, LimiterFleet.Clients).Select(async _ =>
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
    public async Task Instance_Crashes_ItsPlacesAndReservationsComeBack()
    {
        var clock = new ShiftedClock();
        var charge = LimitTestData.Charge(
            LimitTestData.Policy(LimitAlgorithm.Concurrency, 2, TimeSpan.FromSeconds(1)),
            prefix: _options.Prefix);
        await using var other = await LimiterInstance.StartAsync(servers.Redis, _options);
        await using var crashing = await LimiterInstance.StartAsync(servers.Redis, _options, clock);
        using var redis = await RedisConnection.OpenAsync(servers.Redis);
        var tokens = LimitTestData.Charge(
            LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 100, TimeSpan.FromDays(1), unit: LimitUnit.Tokens), 100, _options.Prefix);
        Assert.True((await crashing.AskAsync(charge, tokens)).Allowed);
        Assert.True((await crashing.AskAsync(charge)).Allowed);
        Assert.False((await other.AskAsync(charge)).Allowed);

        // While it lives, they are its own, far beyond the lifetime: it renews them in time, by its clock, and by Redis'.
        var step = _options.LeaseLifetime * 2 / 3;
        for (var i = 0; i < 3; i++)
        {
            var ends = await EndAsync();
            await LimitTestData.AdvanceAsync(redis.Database, _options.Prefix, (long)step.TotalMicroseconds);
            clock.Advance(step);
            await LimiterInstance.UntilAsync(async () => await EndAsync() > ends + step.TotalMicroseconds / 2);
        }

        Assert.False((await other.AskAsync(charge)).Allowed);
        Assert.False((await other.AskAsync(tokens)).Allowed);

        await crashing.CrashAsync();
        await LimitTestData.AdvanceAsync(redis.Database, _options.Prefix, (long)_options.LeaseLifetime.TotalMicroseconds);
        await LimiterInstance.UntilAsync(async () => (await other.AskAsync(charge)).Allowed);
        await LimiterInstance.UntilAsync(async () => (await other.AskAsync(tokens)).Allowed);

        // When the first of what is held comes back unless it is renewed.
        async Task<double> EndAsync() => Math.Min(await FirstAsync(charge.Key), await FirstAsync(KeyNames.Records(tokens.Key)));

        async Task<double> FirstAsync(string key) => (await redis.Database.SortedSetRangeByRankWithScoresAsync(key, 0, 0))[0].Score;
    }

    [Fact]
    public async Task Memory_ManySubjects_IsBounded()
    {
        _options.MaxSubjects = 100;
        await using var instance = await LimiterInstance.StartAsync(null, _options, new SteppedClock());
        var policy = LimitTestData.Policy(LimitAlgorithm.TokenBucket, 5, TimeSpan.FromSeconds(60));
        var admitted = 0;
        for (var i = 0; i < 1000; i++)
            admitted += (await instance.AskAsync(LimitTestData.Charge(policy, subject: $"s{i}"))).Allowed ? 1 : 0;

        // Those for whom there is no room share one count: full means refused, not unlimited.
        Assert.InRange(instance.Local.Count, 1, 101);
        Assert.Equal(105, admitted);
    }

    private static void InterlockedMax(ref int target, int value)
    {
        int seen;
        while ((seen = Volatile.Read(ref target)) < value && Interlocked.CompareExchange(ref target, value, seen) != seen)
        {
        }
    }
}
