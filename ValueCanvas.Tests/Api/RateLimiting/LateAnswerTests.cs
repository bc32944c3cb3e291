using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Tests.Core.Caching;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>One answer of Redis is late, no more: what was decided without it counts for all.</summary>
public sealed class LateAnswerTests(ServersFixture servers)
{
    private readonly RateLimitingOptions _options = new()
    {
        Prefix = $"late-{Guid.NewGuid():N}",
        RedisTimeout = TimeSpan.FromMilliseconds(300),
        RedisFailures = 1000,
        Heartbeat = TimeSpan.FromHours(1),
    };

    [Fact]
    public async Task Request_DecidedInMemoryMeanwhile_IsToldToRedisAndCounted()
    {
        var direct = ConfigurationOptions.Parse(servers.Redis);
        var parts = servers.Redis.Split(',')[0].Split(':');
        await using var proxy = new FreezingProxy(parts[0], int.Parse(parts[1], System.Globalization.CultureInfo.InvariantCulture));
        await using var late = await LimiterInstance.StartAsync($"127.0.0.1:{proxy.Port},password={direct.Password}", _options);
        await using var other = await LimiterInstance.StartAsync(servers.Redis, _options);
        var policy = LimitTestData.Policy(LimitAlgorithm.SlidingWindow, 100, TimeSpan.FromHours(1), unit: LimitUnit.Tokens, mode: TokenMode.Strict);
        var charge = LimitTestData.Charge(policy, 10, _options.Prefix);
        Assert.Equal(90, (await late.AskAsync(charge)).Readings[0].Remaining);

        proxy.Freeze();
        var meanwhile = await late.AskAsync(charge);
        Assert.Equal((true, false), (meanwhile.Allowed, meanwhile.Counted));
        for (var i = 0; i < 5; i++)
            Assert.True((await other.AskAsync(charge)).Allowed);
        proxy.Thaw();

        // 10 and 50 in Redis; the 10 of the question that was late were taken back there, and are told with the next: 10 + 50 + 10 + 10.
        LimitDecision next;
        do
        {
            next = await late.AskAsync(charge);
        }
        while (!next.Counted && next.Allowed);
        Assert.True(next.Counted);
        Assert.True(next.Readings[0].Remaining <= 20, $"{next.Readings[0].Remaining}");
    }
}
