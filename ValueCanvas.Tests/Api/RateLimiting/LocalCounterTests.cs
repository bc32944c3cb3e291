using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>Each algorithm against a log of what it let through, in simulated time, for many random histories.</summary>
public sealed class LocalCounterTests
{
    private const int Histories = 60;
    private const int Steps = 200;

    [Theory]
    [InlineData(nameof(LimitAlgorithm.TokenBucket))]
    [InlineData(nameof(LimitAlgorithm.SlidingWindow))]
    [InlineData(nameof(LimitAlgorithm.FixedWindow))]
    public void Counter_AnyHistory_NeverAdmitsMoreThanItMay(string name)
    {
        for (var seed = 0; seed < Histories; seed++)
        {
            var (random, policy) = Random(seed, name);
            var counter = Make(policy.Algorithm);
            var log = new AdmittedLog();
            var now = random.NextInt64(policy.WindowMicros, 1_000_000_000);
            for (var step = 0; step < Steps; step++)
            {
                now += random.NextInt64(0, policy.WindowMicros / random.Next(1, 50));
                var charge = LimitTestData.Charge(policy, random.NextInt64(1, Math.Max(2, policy.Limit / 3)));
                if (counter.Look(charge, charge.Cost, 0, now).Denied)
                    continue;
                counter.Take(charge, charge.Cost, now, "");
                log.Add(now, charge.Cost);
            }

            Assert.True(log.Total > 0);
            Check(policy, log);
        }
    }

    [Theory]
    [InlineData(nameof(LimitAlgorithm.TokenBucket))]
    [InlineData(nameof(LimitAlgorithm.SlidingWindow))]
    [InlineData(nameof(LimitAlgorithm.FixedWindow))]
    public void Counter_Refusal_TellsTheTimeToWaitToTheMicrosecond(string name)
    {
        var told = 0;
        for (var seed = 0; seed < Histories; seed++)
        {
            var (random, policy) = Random(seed, name);
            var counter = Make(policy.Algorithm);
            var now = random.NextInt64(policy.WindowMicros, 1_000_000_000);
            for (var step = 0; step < Steps; step++)
            {
                var charge = LimitTestData.Charge(policy, random.NextInt64(1, Math.Max(2, policy.Limit / 3)));
                var reading = counter.Look(charge, charge.Cost, 0, now);
                if (reading.Denied)
                {
                    told++;
                    Assert.True(reading.Wait > 0);
                    Assert.True(counter.Look(charge, charge.Cost, 0, now + reading.Wait - 1).Denied);
                    now += reading.Wait;
                    Assert.False(counter.Look(charge, charge.Cost, 0, now).Denied);
                }

                counter.Take(charge, charge.Cost, now, "");
                now += random.NextInt64(0, policy.WindowMicros / 20);
            }
        }

        Assert.True(told > Histories);
    }

    /// <summary>
    /// What is reserved and given back later must never let more be used than if the true amount had been charged at once.
    /// </summary>
    [Theory]
    [InlineData(nameof(LimitAlgorithm.TokenBucket))]
    [InlineData(nameof(LimitAlgorithm.SlidingWindow))]
    [InlineData(nameof(LimitAlgorithm.FixedWindow))]
    public void Counter_ReservationsRefundedInAnyOrder_NeverLetMoreBeUsed(string name)
    {
        for (var seed = 0; seed < Histories; seed++)
        {
            var (random, policy) = Random(seed, name);
            var counter = Make(policy.Algorithm);
            var log = new AdmittedLog();
            var open = new List<(Charge Charge, long At, Reading Reading)>();
            var now = random.NextInt64(policy.WindowMicros, 1_000_000_000);
            for (var step = 0; step < Steps; step++)
            {
                now += random.NextInt64(0, policy.WindowMicros / random.Next(1, 50));
                if (open.Count > 0 && random.Next(2) == 0)
                {
                    var (charge, at, reading) = open[random.Next(open.Count)];
                    open.Remove((charge, at, reading));
                    var used = random.NextInt64(0, charge.Cost + 1);
                    counter.Refund(charge, charge.Cost - used, now, reading.Place, reading.Refunds);
                    log.Correct(at, charge.Cost, used);
                }
                else if (LimitTestData.Charge(policy, random.NextInt64(1, Math.Max(2, policy.Limit / 2))) is var charge
                    && !counter.Look(charge, charge.Cost, 0, now).Denied)
                {
                    open.Add((charge, now, counter.Take(charge, charge.Cost, now, "")));
                    log.Add(now, charge.Cost);
                }
            }

            // Those still open may need all of it.
            Check(policy, log);
        }
    }

    [Fact]
    public void Bucket_OfTheSeed_AdmitsFortyAtOnceThenTwentyAMinute()
    {
        var policy = LimitTestData.Policy(LimitAlgorithm.TokenBucket, 20, TimeSpan.FromSeconds(60), burst: 2);
        var counter = new LocalBucket();
        var charge = LimitTestData.Charge(policy);
        var admitted = 0;
        for (var second = 0; second <= 60; second++)
        {
            while (!counter.Look(charge, 1, 0, second * 1_000_000L).Denied)
            {
                counter.Take(charge, 1, second * 1_000_000L, "");
                admitted++;
            }

            Assert.Equal(40 + second / 3, admitted);
        }
    }

    [Fact]
    public void Bucket_Debt_IsWaitedForByLaterRequests()
    {
        var policy = LimitTestData.Policy(LimitAlgorithm.TokenBucket, 100, TimeSpan.FromSeconds(60), unit: LimitUnit.Tokens);
        var counter = new LocalBucket();
        var charge = LimitTestData.Charge(policy, 50);
        counter.Take(charge, 50, 0, "");
        counter.Add(charge, 150, 0);

        var refused = counter.Look(charge, 50, 0, 0);

        Assert.True(refused.Denied);
        Assert.Equal((200 + 50 - 100) * 600_000, refused.Wait);
    }

    [Theory]
    [InlineData(nameof(LimitAlgorithm.SlidingWindow), 1.01)]
    [InlineData(nameof(LimitAlgorithm.FixedWindow), 1.1)]
    public void Window_CountsASlotTooLongAtMost(string name, double most)
    {
        var policy = LimitTestData.Policy(Enum.Parse<LimitAlgorithm>(name), 1, TimeSpan.FromSeconds(10));
        var counter = new LocalWindow();
        var charge = LimitTestData.Charge(policy);
        counter.Take(charge, 1, 50_000_000, "");

        Assert.InRange(counter.Look(charge, 1, 0, 50_000_000).Wait, policy.WindowMicros, policy.WindowMicros * most);
    }

    [Theory]
    [InlineData(nameof(LimitAlgorithm.TokenBucket))]
    [InlineData(nameof(LimitAlgorithm.SlidingWindow))]
    [InlineData(nameof(LimitAlgorithm.FixedWindow))]
    public void Counter_CostAboveTheLimit_NeverPasses(string name)
    {
        var policy = LimitTestData.Policy(Enum.Parse<LimitAlgorithm>(name), 10, TimeSpan.FromSeconds(10));

        Assert.Equal(Reading.Never, Make(policy.Algorithm).Look(LimitTestData.Charge(policy, 11), 11, 0, 1_000_000_000).Wait);
        Assert.Equal(Reading.Never, Make(policy.Algorithm).Look(LimitTestData.Charge(policy) with { Limit = 0 }, 1, 0, 1_000_000_000).Wait);
    }

    internal static LocalCounter Make(LimitAlgorithm algorithm) => algorithm switch
    {
        LimitAlgorithm.TokenBucket => new LocalBucket(),
        _ => new LocalWindow(),
    };

    internal static (Random Random, LimitPolicy Policy) Random(int seed, string name)
    {
        var random = new Random(seed);
        var algorithm = Enum.Parse<LimitAlgorithm>(name);
        return (random, LimitTestData.Policy(
            algorithm,
            random.NextInt64(1, random.Next(2) == 0 ? 20 : 5000),
            TimeSpan.FromMicroseconds(random.NextInt64(1_000_000, 90_000_000)),
            algorithm == LimitAlgorithm.TokenBucket ? 1 + random.Next(4) * 0.5 : 1,
            LimitUnit.Tokens));
    }

    private static void Check(LimitPolicy policy, AdmittedLog log)
    {
        if (policy.Algorithm == LimitAlgorithm.TokenBucket)
            log.AssertBucket(policy.Limit, policy.WindowMicros, (long)(policy.WindowMicros * policy.Burst));
        else
            log.AssertRolling(policy.Limit, policy.WindowMicros);
    }
}
