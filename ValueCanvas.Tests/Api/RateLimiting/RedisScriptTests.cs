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
            var epoch = 0L;
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
                (var now, epoch) = (answer.Said.Time, answer.Said.Epoch);
                var reading = answer.Decision.Readings[0];
                var expected = model.Look(cost, cost.Cost, 0, now);
                Assert.Equal((expected.Denied, expected.Wait), (reading.Denied, reading.Wait));
                Assert.Equal(expected.Denied, !answer.Decision.Allowed);
                if (expected.Denied)
                    continue;
                var taken = model.Take(cost, cost.Cost, now, "");
                Assert.Equal((taken.Remaining, taken.Reset), (reading.Remaining, reading.Reset));
                open.Add(($"r{step}", cost, reading, taken));
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

        Assert.Equal(before + 1, first.Said.Time);
        Assert.InRange(second.Said.Time - first.Said.Time, 1, 60_000_000);
        Assert.True(first.Decision.Allowed && second.Decision.Allowed);
    }

    [Fact]
    public async Task Script_OneOfTwoPoliciesRefuses_NoneIsChargedAndTheOneToWaitForIsNamed()
    {
        var wide = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 100, TimeSpan.FromSeconds(60)), prefix: _prefix);
        var narrow = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.TokenBucket, 1, TimeSpan.FromSeconds(60)), prefix: _prefix);
        var tightest = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.TokenBucket, 1, TimeSpan.FromSeconds(90)), prefix: _prefix);
        Assert.True((await ChargeAsync(wide, narrow, tightest)).Decision.Allowed);

        var refused = await ChargeAsync(wide, narrow, tightest);
        var alone = await ChargeAsync(wide);

        Assert.Equal(tightest, refused.Decision.Binding!.Value.Charge);
        Assert.Equal(98, alone.Decision.Readings[0].Remaining);
    }

    [Fact]
    public async Task Script_ManyRequestsAtOnce_AreDecidedInTurnEachByItself()
    {
        var one = LimitTestData.Charge(LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 10, TimeSpan.FromHours(1)), prefix: _prefix);
        var many = LimitTestData.Charge(
            LimitTestData.Policy(LimitAlgorithm.TokenBucket, 5000, TimeSpan.FromHours(1), unit: LimitUnit.Tokens), 100, _prefix, "tokens");

        var answers = await ChargeQuestion.AskAsync(
            Database,
            Clock,
            [.. Enumerable.Range(0, 40).Select(i => i % 2 == 0 ? Question($"a{i}", one, many) : Question($"b{i}", many))]);

        // Ten of the first kind, and of the second as many as the tokens of both allow.
        Assert.Equal(
            Enumerable.Range(0, 20).Select(i => i < 10),
            answers.Where((_, i) => i % 2 == 0).Select(answer => answer.Decision.Allowed));
        Assert.All(answers.Where((_, i) => i % 2 == 1), answer => Assert.True(answer.Decision.Allowed));
        Assert.Equal(5000 - 30 * 100, answers[^1].Decision.Readings[0].Remaining);
        Assert.Equal(30, await Database.SortedSetLengthAsync(KeyNames.Records(many.Key)));
    }

    [Fact]
    public async Task Script_ShadowPolicyFull_AdmitsAndSaysSo()
    {
        var policy = LimitTestData.Policy(LimitAlgorithm.FixedWindow, 1, TimeSpan.FromDays(1)) with { Shadow = true };
        var charge = LimitTestData.Charge(policy, prefix: _prefix);
        await ChargeAsync(charge);

        var second = await ChargeAsync(charge);

        Assert.Equal((true, true), (second.Decision.Allowed, second.Decision.Readings[0].Denied));
    }

    [Fact]
    public async Task Script_ReservationsOfACrash_AreReclaimedInEstimateModeAndKeptInStrictMode()
    {
        foreach (var (mode, remaining) in new[] { (TokenMode.Estimate, 90L), (TokenMode.Strict, 30L) })
        {
            var policy = LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 100, TimeSpan.FromHours(1), unit: LimitUnit.Tokens, mode: mode);
            var charge = LimitTestData.Charge(policy, 60, _prefix, mode.ToString());
            Assert.Equal(40, Remaining(await ChargeAsync(charge)));

            await AdvanceAsync(31_000_000);
            var next = await ChargeAsync(charge with { Cost = 10 });

            Assert.Equal(remaining, Remaining(next));
        }
    }

    [Fact]
    public async Task Script_SettledAfterItWasReclaimedOrFlushed_OwesAllOfWhatWasUsed()
    {
        var policy = LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 100, TimeSpan.FromHours(1), unit: LimitUnit.Tokens);
        var charge = LimitTestData.Charge(policy, 60, _prefix);
        var answer = await ChargeAsync(charge);
        await AdvanceAsync(31_000_000);
        Assert.Equal(99, Remaining(await ChargeAsync(charge with { Cost = 1 })));

        var settled = await SettleAsync(charge, answer.Decision.Readings[0], 20, answer.Decision.Epoch);
        Assert.Equal(21, settled[0]);

        var strict = LimitTestData.Charge(policy with { Mode = TokenMode.Strict }, 60, _prefix, "strict");
        answer = await ChargeAsync(strict);
        await Database.KeyDeleteAsync([Clock, strict.Key]);
        settled = await SettleAsync(strict, answer.Decision.Readings[0], 20, answer.Decision.Epoch);
        Assert.Equal(20, settled[0]);
    }

    [Fact]
    public async Task Script_LeasesOfACrash_ComeBackAfterTheirLifetimeAndRenewedOnesDoNot()
    {
        var policy = LimitTestData.Policy(LimitAlgorithm.Concurrency, 2, TimeSpan.FromSeconds(1));
        var charge = LimitTestData.Charge(policy, prefix: _prefix);
        await ChargeAsync("kept", charge);
        await ChargeAsync("crashed", charge);
        Assert.False((await ChargeAsync("third", charge)).Decision.Allowed);

        await AdvanceAsync(20_000_000);
        await RedisScript.Renew.RunAsync(Database, [Clock, charge.Key], ["kept", 30_000_000, 1]);
        await AdvanceAsync(20_000_000);

        Assert.True((await ChargeAsync("third", charge)).Decision.Allowed);
        Assert.False((await ChargeAsync("fourth", charge)).Decision.Allowed);
    }

    [Fact]
    public async Task Keys_OfManySubjects_ExpireWhenNothingOfThemCounts()
    {
        foreach (var algorithm in Enum.GetValues<LimitAlgorithm>())
        {
            var charge = LimitTestData.Charge(
                LimitTestData.Policy(algorithm, 10, TimeSpan.FromSeconds(60)), 1, _prefix, algorithm.ToString());
            await ChargeAsync(charge);
            Assert.InRange((await Database.KeyTimeToLiveAsync(charge.Key))!.Value.TotalSeconds, 0.001, 68);
        }
    }

    private static long Remaining(ChargeAnswer answer) => answer.Decision.Readings[0].Remaining;

    private Task<ChargeAnswer> ChargeAsync(params Charge[] charges) => ChargeAsync("id", charges);

    private async Task<ChargeAnswer> ChargeAsync(string id, params Charge[] charges) =>
        (await ChargeQuestion.AskAsync(Database, Clock, [Question(id, charges)]))[0];

    private static ChargeQuestion Question(string id, params Charge[] charges) =>
        new(charges, id, Lifetime(charges[0]), new long[charges.Length], IsAdmitted: false);

    private Task<long[]> SettleAsync(Charge charge, Reading reading, long used, long epoch) =>
        SettleAsync("id", charge, reading, used, epoch);

    // Without time and epoch.
    private async Task<long[]> SettleAsync(string id, Charge charge, Reading reading, long used, long epoch)
    {
        var answer = await RedisScript.Settle.RunAsync(
            Database,
            [Clock, charge.Key, charge.Policy.IsReclaimable ? KeyNames.Records(charge.Key) : charge.Key],
            [
                id, epoch, KeyNames.Letter(charge.Policy.Algorithm), charge.Limit, charge.Policy.WindowMicros, charge.Cost, used,
                reading.Place, reading.Refunds, charge.Policy.IsReclaimable ? 2 : 0,
            ]);
        return answer[2..];
    }

    // Histories run longer than a crash would be noticed, and nobody renews there: only the tests of a crash have short lives.
    private static long Lifetime(Charge charge) =>
        charge.Subject.StartsWith('s') && charge.Subject.Length < 4 ? 3_600_000_000_000 : 30_000_000;

    private Task AdvanceAsync(long micros) => LimitTestData.AdvanceAsync(Database, _prefix, micros);

    private async Task<long> NowAsync() =>
        long.Parse(((string)(await Database.StringGetAsync(Clock))!).Split(' ')[0], CultureInfo.InvariantCulture);
}
