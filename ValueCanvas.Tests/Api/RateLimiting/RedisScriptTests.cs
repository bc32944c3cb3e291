using System.Globalization;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>
/// The script against the same algorithm in C#, which is held against a log: random histories, in the time that the script told. Time is
/// moved on through the clock that the script keeps.
/// </summary>
public sealed class RedisScriptTests(ServersFixture servers) : IAsyncLifetime
{
    private readonly string _prefix = $"script-{Guid.NewGuid():N}";
    private RedisConnection _redis = null!;

    private IDatabase Database => _redis.Database;

    private string Clock => KeyNames.Clock(_prefix);

    public async ValueTask InitializeAsync() => _redis = await RedisConnection.OpenAsync(servers.Redis);

    public ValueTask DisposeAsync()
    {
        _redis.Dispose();
        return ValueTask.CompletedTask;
    }

    [Theory]
    [InlineData(nameof(LimitAlgorithm.TokenBucket))]
    [InlineData(nameof(LimitAlgorithm.SlidingWindow))]
    [InlineData(nameof(LimitAlgorithm.FixedWindow))]
    public async Task Script_AnyHistoryWithRefundsAndDebts_DecidesAsTheModelDoes(string name)
    {
        for (var seed = 0; seed < 12; seed++)
        {
            var (random, policy) = LocalCounterTests.Random(seed, name);
            var subject = $"s{seed}";
            var model = LocalCounterTests.Make(policy.Algorithm);
            var open = new List<(string Id, Charge Charge, Reading Script, Reading Model)>();
            var (epoch, started) = (0L, false);
            for (var step = 0; step < 120; step++)
            {
                await AdvanceAsync(random.NextInt64(0, policy.WindowMicros / random.Next(1, 30)));
                if (open.Count > 0 && random.Next(3) == 0)
                {
                    var (id, charge, script, model1) = open[random.Next(open.Count)];
                    open.Remove((id, charge, script, model1));
                    var used = random.NextInt64(0, charge.Cost * 5 / 4 + 1);
                    var settled = await SettleAsync(id, charge, script, used, epoch);
                    var at = await NowAsync();
                    if (used < charge.Cost)
                        model.Refund(charge, charge.Cost - used, at, model1.Place, model1.Refunds);
                    else if (used > charge.Cost)
                        model.Add(charge, used - charge.Cost, at);
                    Assert.Equal(model.Level(charge, at), settled[0]);
                    continue;
                }

                var cost = LimitTestData.Charge(policy, random.NextInt64(1, Math.Max(2, policy.Limit / 2)), _prefix, subject);
                var answer = await ChargeAsync($"r{step}", cost);
                (var now, epoch) = (answer[2], answer[3]);
                if (!started && policy.Algorithm == LimitAlgorithm.FixedWindow)
                    model.Follow(cost, 0, policy.WindowMicros - now % policy.WindowMicros, now);
                started = true;

                var expected = model.Look(cost, cost.Cost, now);
                Assert.Equal((expected.Denied, expected.Wait), (answer[0] == 1, answer[7]));
                if (expected.Denied)
                    continue;
                var taken = model.Take(cost, cost.Cost, now, "");
                Assert.Equal((taken.Remaining, taken.Reset), (answer[5], answer[6]));
                open.Add(($"r{step}", cost, new(cost, false, answer[5], answer[6], 0, answer[9], answer[10]), taken));
            }
        }
    }

    [Fact]
    public async Task Script_ClockJumpsBack_TimeGoesOnAndNothingIsRefusedForIt()
    {
        var policy = LimitTestData.Policy(LimitAlgorithm.TokenBucket, 10, TimeSpan.FromSeconds(1));
        var charge = LimitTestData.Charge(policy, prefix: _prefix);
        await ChargeAsync(charge);
        // The server was an hour ahead when it told the time last.
        var before = await NowAsync() + 3_600_000_000;
        await Database.StringSetAsync(Clock, string.Create(CultureInfo.InvariantCulture, $"{before} 0 1"));

        var first = await ChargeAsync(charge);
        var second = await ChargeAsync(charge);

        Assert.Equal(before, first[2]);
        Assert.InRange(second[2] - first[2], 1, 60_000_000);
        Assert.Equal((0L, 0L), (first[0], second[0]));
    }

    [Fact]
    public async Task Script_OneOfTwoPoliciesRefuses_NoneIsChargedAndTheOneToWaitForIsNamed()
    {
        var wide = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 100, TimeSpan.FromSeconds(60)), prefix: _prefix);
        var narrow = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.TokenBucket, 1, TimeSpan.FromSeconds(60)), prefix: _prefix);
        var tightest = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.TokenBucket, 1, TimeSpan.FromSeconds(90)), prefix: _prefix);
        Assert.Equal(0, (await ChargeAsync(wide, narrow, tightest))[0]);

        var refused = await ChargeAsync(wide, narrow, tightest);
        var alone = await ChargeAsync(wide);

        Assert.Equal((1L, 3L), (refused[0], refused[1]));
        Assert.Equal(98, alone[5]);
    }

    [Fact]
    public async Task Script_ShadowPolicyFull_AdmitsAndSaysSo()
    {
        var policy = LimitTestData.Policy(LimitAlgorithm.FixedWindow, 1, TimeSpan.FromDays(1)) with { Shadow = true };
        var charge = LimitTestData.Charge(policy, prefix: _prefix);
        await ChargeAsync(charge);

        var second = await ChargeAsync(charge);

        Assert.Equal((0L, 1L), (second[0], second[4]));
    }

    [Fact]
    public async Task Script_ReservationsOfACrash_AreReclaimedInEstimateModeAndKeptInStrictMode()
    {
        foreach (var (mode, remaining) in new[] { (TokenMode.Estimate, 90L), (TokenMode.Strict, 30L) })
        {
            var policy = LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 100, TimeSpan.FromHours(1), unit: LimitUnit.Tokens, mode: mode);
            var charge = LimitTestData.Charge(policy, 60, _prefix, mode.ToString());
            Assert.Equal(40, (await ChargeAsync(charge))[5]);

            await AdvanceAsync(31_000_000);
            var next = await ChargeAsync(charge with { Cost = 10 });

            Assert.Equal(remaining, next[5]);
        }
    }

    [Fact]
    public async Task Script_SettledAfterItWasReclaimedOrFlushed_OwesAllOfWhatWasUsed()
    {
        var policy = LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 100, TimeSpan.FromHours(1), unit: LimitUnit.Tokens);
        var charge = LimitTestData.Charge(policy, 60, _prefix);
        var answer = await ChargeAsync(charge);
        await AdvanceAsync(31_000_000);
        Assert.Equal(99, (await ChargeAsync(charge with { Cost = 1 }))[5]);

        var settled = await SettleAsync(charge, new(charge, false, 0, 0, 0, answer[9], answer[10]), 20, answer[3]);
        Assert.Equal(21, settled[0]);

        var strict = LimitTestData.Charge(policy with { Mode = TokenMode.Strict }, 60, _prefix, "strict");
        answer = await ChargeAsync(strict);
        await Database.KeyDeleteAsync([Clock, strict.Key]);
        settled = await SettleAsync(strict, new(strict, false, 0, 0, 0, answer[9], answer[10]), 20, answer[3]);
        Assert.Equal(20, settled[0]);
    }

    [Fact]
    public async Task Script_LeasesOfACrash_ComeBackAfterTheirLifetimeAndRenewedOnesDoNot()
    {
        var policy = LimitTestData.Policy(LimitAlgorithm.Concurrency, 2, TimeSpan.FromSeconds(1));
        var charge = LimitTestData.Charge(policy, prefix: _prefix);
        await ChargeAsync("kept", charge);
        await ChargeAsync("crashed", charge);
        Assert.Equal(1, (await ChargeAsync("third", charge))[0]);

        await AdvanceAsync(20_000_000);
        await RedisScript.Renew.RunAsync(Database, [Clock, charge.Key], ["kept", 30_000_000, 1]);
        await AdvanceAsync(20_000_000);

        Assert.Equal(0, (await ChargeAsync("third", charge))[0]);
        Assert.Equal(1, (await ChargeAsync("fourth", charge))[0]);
    }

    [Fact]
    public async Task Keys_OfManySubjects_ExpireWhenNothingOfThemCounts()
    {
        foreach (var algorithm in Enum.GetValues<LimitAlgorithm>())
        {
            var charge = LimitTestData.Charge(
                LimitTestData.Policy(algorithm, 10, TimeSpan.FromSeconds(60)), 1, _prefix, algorithm.ToString());
            await ChargeAsync(charge);
            Assert.InRange((await Database.KeyTimeToLiveAsync(charge.Key))!.Value.TotalSeconds, 0.001, 63);
        }
    }

    private Task<long[]> ChargeAsync(params Charge[] charges) => ChargeAsync("id", charges);

    private Task<long[]> ChargeAsync(string id, params Charge[] charges)
    {
        List<RedisKey> keys = [Clock, .. charges.Select(charge => (RedisKey)charge.Key)];
        keys.AddRange(charges.Where(charge => charge.Policy.IsReclaimable).Select(charge => (RedisKey)KeyNames.Records(charge.Key)));
        List<RedisValue> values = [charges.Length, id];
        foreach (var charge in charges)
            values.AddRange(
            [
                KeyNames.Letter(charge.Policy.Algorithm), charge.Limit, charge.Policy.WindowMicros, charge.BurstMicros, charge.Cost,
                (charge.Policy.Shadow ? 1 : 0) + (charge.Policy.IsReclaimable ? 2 : 0), Lifetime(charge), 0,
            ]);
        return RedisScript.Charge.RunAsync(Database, [.. keys], [.. values]);
    }

    private Task<long[]> SettleAsync(Charge charge, Reading reading, long used, long epoch) => SettleAsync("id", charge, reading, used, epoch);

    private Task<long[]> SettleAsync(string id, Charge charge, Reading reading, long used, long epoch) => RedisScript.Settle.RunAsync(
        Database,
        [Clock, charge.Key, charge.Policy.IsReclaimable ? KeyNames.Records(charge.Key) : charge.Key],
        [
            id, epoch, KeyNames.Letter(charge.Policy.Algorithm), charge.Limit, charge.Policy.WindowMicros, charge.Cost, used, reading.Place,
            reading.Refunds, charge.Policy.IsReclaimable ? 2 : 0,
        ]);

    // Histories run longer than a crash would be noticed, and nobody renews there: only the tests of a crash have short lives.
    private static long Lifetime(Charge charge) => charge.Subject.StartsWith('s') && charge.Subject.Length < 4 ? 3_600_000_000_000 : 30_000_000;

    private async Task AdvanceAsync(long micros)
    {
        if ((string?)await Database.StringGetAsync(Clock) is not { } kept)
            return;
        var parts = kept.Split(' ').Select(part => long.Parse(part, CultureInfo.InvariantCulture)).ToArray();
        await Database.StringSetAsync(Clock, string.Create(CultureInfo.InvariantCulture, $"{parts[0]} {parts[1] + micros} {parts[2]}"));
    }

    private async Task<long> NowAsync() =>
        long.Parse(((string)(await Database.StringGetAsync(Clock))!).Split(' ')[0], CultureInfo.InvariantCulture);
}
