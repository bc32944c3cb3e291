using System.Diagnostics;
using System.Net;
using StackExchange.Redis;
using ValueCanvas.Tests.Core.Caching;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy.Operations;

/// <summary>What an operator says to one proxy, the others do, through a real Redis.</summary>
public sealed class OperatorExchangeTests(ServersFixture servers)
{
    private const string Key = "valuecanvas:inference:operator";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Action_AtOneProxy_IsFollowedByTheOthersWithinASecond()
    {
        var clock = new SteppedClock();
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var one = Start(clock, replica);
        await using var two = Start(clock, replica);
        var name = Name(replica);

        await OperateAsync(one, $"{name}/open?duration=60");
        await FollowsAsync(clock, two, "forced_open");
        using (var refused = await two.PostAsync("""{"model":"small-model"}"""))
            Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value, TimeSpan.FromSeconds(58), TimeSpan.FromSeconds(60));

        // The later word counts, wherever it was said.
        await OperateAsync(two, $"{name}/close");
        await FollowsAsync(clock, one, "closed");
        await OperateAsync(one, $"{name}/open?model=small-model");
        await FollowsAsync(clock, two, "forced_open");
        await OperateAsync(one, $"{name}/reset");
        await FollowsAsync(clock, two, "closed");

        await OperateAsync(two, $"{name}/drain");
        await StepsAsync(clock, async () => await IsDrainingAsync(one));
        await OperateAsync(one, $"{name}/undrain");
        await StepsAsync(clock, async () => !await IsDrainingAsync(two));
    }

    [Fact]
    public async Task Actions_ThatRedisLost_HoldOn_AndAreTakenOverByAProxyThatStartsLater()
    {
        var clock = new SteppedClock();
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        var name = Name(replica);
        await using var one = Start(clock, replica);
        await OperateAsync(one, $"{name}/open");
        await OperateAsync(one, $"{name}/drain");
        using var redis = await ConnectionMultiplexer.ConnectAsync(servers.Redis);

        await redis.GetDatabase().KeyDeleteAsync(Key);
        clock.Advance(TimeSpan.FromSeconds(1));
        await ProxyHost.UntilAsync(async () => await redis.GetDatabase().HashExistsAsync(Key, $"place\n{name}"));
        Assert.Equal(("forced_open", true), (await StateAsync(one), await IsDrainingAsync(one)));

        await using var later = Start(clock, replica);
        await StepsAsync(clock, async () => await IsDrainingAsync(later));
        await FollowsAsync(clock, later, "forced_open");
    }

    [Fact]
    public async Task Strangers_EntriesInTheHash_AreLeftAlone()
    {
        var clock = new SteppedClock();
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        using var redis = await ConnectionMultiplexer.ConnectAsync(servers.Redis);
        foreach (var (field, value) in new[] { ("a", "not JSON"), ("b", "{}"), ("c", """{"verb":"Explode","replica":"x"}"""),
            ("d", "null") })
        {
            await redis.GetDatabase().HashSetAsync(Key, field, value);
        }

        await using var one = Start(clock, replica);
        await OperateAsync(one, $"{Name(replica)}/open");
        Assert.Equal("forced_open", await StateAsync(one));
        await redis.GetDatabase().HashDeleteAsync(Key, ["a", "b", "c", "d"]);
    }

    [Fact]
    public async Task RedisFrozen_TheActionWorksHereAtOnce_AndEverywhereWhenItThaws()
    {
        var direct = ConfigurationOptions.Parse(servers.Redis);
        var (host, port) = direct.EndPoints[0] switch
        {
            DnsEndPoint dns => (dns.Host, dns.Port),
            IPEndPoint ip => (ip.Address.ToString(), ip.Port),
            _ => throw new InvalidOperationException("Redis listens on TCP."),
        };
        await using var proxy = new FreezingProxy(host, port);
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        var name = Name(replica);
        await using var one = ProxyHost.Start(replica, ("ConnectionStrings:cache", $"127.0.0.1:{proxy.Port},password={direct.Password}"));
        await using var two = ProxyHost.Start(replica, ("ConnectionStrings:cache", servers.Redis));
        await OperateAsync(one, $"{name}/reset");

        proxy.Freeze();
        var started = Stopwatch.GetTimestamp();
        Assert.Equal("this proxy", await one.OperateAsync($"{name}/open"));
        // The bound is 100 ms, the machine may be busy; without one it would be 5 s or for good.
        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(2));
        Assert.Equal("forced_open", await StateAsync(one));
        Assert.Equal("closed", await StateAsync(two));

        proxy.Thaw();
        await ProxyHost.UntilAsync(async () => await StateAsync(two) == "forced_open");
    }

    [Fact]
    public async Task RedisDead_FromTheStart_ActionsWorkHere()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica, ("ConnectionStrings:cache", "127.0.0.1:1,connectTimeout=100"));

        Assert.Equal("this proxy", await proxy.OperateAsync($"{Name(replica)}/open"));
        Assert.Equal("forced_open", await StateAsync(proxy));
    }

    private ProxyHost Start(SteppedClock clock, FakeReplica replica) => ProxyHost.Start(
        clock, [replica.Address], ("Inference:ProbeInterval", "12:00:00"), ("ConnectionStrings:cache", servers.Redis));

    private static string Name(FakeReplica replica) => new Uri(replica.Address).Authority;

    /// <summary>Until Redis has confirmed it: a busy machine may miss the 100 ms of one action.</summary>
    private static Task OperateAsync(ProxyHost proxy, string action) => ProxyHost.UntilAsync(
        async () => await proxy.OperateAsync(action) == "all proxies");

    private static Task FollowsAsync(SteppedClock clock, ProxyHost proxy, string state) =>
        StepsAsync(clock, async () => await StateAsync(proxy) == state);

    /// <summary>One second of the clock is enough; what was begun in it may take the machine longer.</summary>
    private static Task StepsAsync(SteppedClock clock, Func<Task<bool>> condition)
    {
        clock.Advance(TimeSpan.FromSeconds(1));
        return ProxyHost.UntilAsync(condition);
    }

    private static async Task<bool> IsDrainingAsync(ProxyHost proxy) => (await proxy.ReplicaAsync(0)).GetProperty("draining").GetBoolean();

    private static async Task<string?> StateAsync(ProxyHost proxy)
    {
        using var _ = await proxy.PostAsync("""{"model":"small-model"}""", cancel: Cancel); // so that there is a breaker
        return (await proxy.ReplicaAsync(0)).GetProperty("breakers").EnumerateArray().Single().GetProperty("state").GetString();
    }
}
