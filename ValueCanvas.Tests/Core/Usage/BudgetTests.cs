using System.Globalization;
using System.Net;
using StackExchange.Redis;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage.Budgets;
using ValueCanvas.Core.Usage.Recording;
using ValueCanvas.Tests.Core.Caching;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Core.Usage;

/// <summary>Budgets that several instances share, with Redis and without.</summary>
public sealed class BudgetTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    // A loaded machine is not a Redis, or a PostgreSQL, that is away.
    private static readonly (string, string)[] AtOnce =
    [
        ("Usage:Budgets:Wait", "00:00:00"), ("Usage:Budgets:Refresh", "00:00:00.1"), ("Usage:Budgets:RedisTimeout", "00:00:05"),
        ("Usage:WriteTimeout", "00:00:20"),
    ];

    private static readonly (string, string)[] OfTwo =
    [
        .. AtOnce[..2], AtOnce[^1], ("Usage:Budgets:RedisTimeout", "00:00:00.5"), ("Usage:Budgets:Instances", "2"),
    ];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task TwoInstances_AtOnce_HoldWhatFits_AndNotMore()
    {
        var call = await CallAsync(1, "strict");
        await using var one = await HostAsync(call);
        await using var two = await HostAsync(call);

        var tries = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => TryAsync(i % 2 == 0 ? one : two, call, 0.1m)));
        var held = tries.Where(answer => answer.Reservation is not null).ToArray();
        Assert.Equal(10, held.Length);
        Assert.All(held, answer => Assert.True(answer.Reservation!.IsShared));

        // What calls did not need after all is there for others.
        foreach (var (reservation, _) in held)
            one.Require<BudgetBook>().Settle(reservation!, 0.05m);
        await UsageWriterTests.UntilAsync(async () => (await TryAsync(two, call, 0.5m)).Reservation is not null);
        var refusal = (await TryAsync(one, call, 0.01m)).Refusal;
        Assert.Equal(0.5m, refusal!.Spent);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Spent_IsWhatTheRowsSay_ForAnInstanceThatKnowsNothing(bool redis)
    {
        var call = await CallAsync(1, "estimate");
        await using (var writer = await UsageHost.StartAsync(database.App))
        {
            await writer.Require<UsageWriter>().CommitAsync(UsageHost.Row(call.TenantId, 0.75m))
                .WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        }

        await using var host = await HostAsync(call, redis);
        Assert.Equal(0.75m, (await TryAsync(host, call, 0.3m)).Refusal?.Spent);
        Assert.Equal(redis, (await TryAsync(host, call, 0.2m)).Reservation?.IsShared);
    }

    [Fact]
    public async Task Redis_ThatForgets_IsToldAgain()
    {
        var call = await CallAsync(1, "estimate");
        await using var host = await HostAsync(call);
        await host.Require<UsageWriter>().CommitAsync(UsageHost.Row(call.TenantId, 0.75m)).WaitAsync(TimeSpan.FromSeconds(30),
            Cancellation);
        var (first, _) = await TryAsync(host, call, 0.01m);
        host.Require<BudgetBook>().Settle(first!, 0);

        var redis = host.Require<IConnectionMultiplexer>();
        foreach (var key in redis.GetServer(redis.GetEndPoints()[0]).Keys(pattern: $"valuecanvas:spent:*{call.TenantId:N}*").ToArray())
            await redis.GetDatabase().KeyDeleteAsync(key);

        Assert.NotNull((await TryAsync(host, call, 0.3m)).Refusal);
    }

    [Fact]
    public async Task Spent_ReadFromTheRowsBeforeItsCallIsSettled_IsNotCountedTwice()
    {
        var call = await CallAsync(1, "estimate");
        await using var host = await HostAsync(call);
        var book = host.Require<BudgetBook>();
        var (reservation, _) = await TryAsync(host, call, 0.5m);
        await host.Require<UsageWriter>().CommitAsync(UsageHost.Row(call.TenantId, 0.5m)).WaitAsync(TimeSpan.FromSeconds(30), Cancellation);

        Assert.True(await book.LoadAsync(reservation!.Parts[0].Account, Cancellation));
        book.Settle(reservation, 0.5m);
        await UsageWriterTests.UntilAsync(async () => (await TryAsync(host, call, 0.4m)).Reservation is not null);

        Assert.Equal(0.5m, (await TryAsync(host, call, 0.2m)).Refusal?.Spent);
    }

    [Fact]
    public async Task Strict_WhileRedisIsFrozen_InstancesTogetherDoNotOverspend_AndMeetAgain()
    {
        var call = await CallAsync(4, "strict");
        var (proxy, redis) = InFrontOfRedis();
        await using var front = proxy;
        await using var one = await HostAsync(call, redis, OfTwo);
        await using var two = await HostAsync(call, redis, OfTwo);
        await UsageWriterTests.UntilAsync(async () =>
        {
            var (before, _) = await TryAsync(one, call, 0.1m);
            one.Require<BudgetBook>().Settle(before!, 0);
            return before!.IsShared;
        });

        proxy.Freeze();
        var tries = await Task.WhenAll(Enumerable.Range(0, 60).Select(i => TryAsync(i % 2 == 0 ? one : two, call, 0.1m)));
        var held = tries.Where(answer => answer.Reservation is not null).ToArray();
        Assert.InRange(held.Length, 30, 40);
        Assert.All(held, answer => Assert.False(answer.Reservation!.IsShared));

        // What was spent without it Redis learns from the rows, before anything is held there again.
        foreach (var (i, host) in new[] { one, two }.Index())
        {
            await host.Require<UsageWriter>()
                .CommitAsync(UsageHost.Row(call.TenantId, 1.95m))
                .WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
            var own = tries.Where((answer, at) => at % 2 == i && answer.Reservation is not null).ToList();
            foreach (var (reservation, _) in own)
                host.Require<BudgetBook>().Settle(reservation!, 1.95m / own.Count);
        }

        proxy.Thaw();
        await UsageWriterTests.UntilAsync(async () => (await TryAsync(one, call, 0.05m)).Reservation is { IsShared: true });
        await UsageWriterTests.UntilAsync(async () =>
        {
            var (reservation, refusal) = await TryAsync(two, call, 0.2m);
            Assert.Null(reservation);
            return refusal!.Spent == 3.9m;
        });
    }

    [Fact]
    public async Task Strict_WhatCallsUnderWayHoldAsRedisGoes_IsNotSharedOut()
    {
        var call = await CallAsync(4, "strict");
        var (proxy, redis) = InFrontOfRedis();
        await using var front = proxy;
        await using var one = await HostAsync(call, redis, OfTwo);
        await using var two = await HostAsync(call, redis, OfTwo);
        Reservation? underWay = null;
        await UsageWriterTests.UntilAsync(async () => (underWay = (await TryAsync(one, call, 3)).Reservation) is { IsShared: true });
        var account = underWay!.Parts[0].Account;
        await UsageWriterTests.UntilAsync(() => Task.FromResult(two.Require<BudgetBook>().HeldElsewhere(account) == account.Held));

        // Of the one dollar that is left each has a half; what the call needed less than it held is its instance's.
        proxy.Freeze();
        var tries = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => TryAsync(i % 2 == 0 ? one : two, call, 0.1m)));
        Assert.Equal((5, 5), (tries.Where((answer, i) => i % 2 == 0 && answer.Reservation is not null).Count(),
            tries.Where((answer, i) => i % 2 == 1 && answer.Reservation is not null).Count()));
        one.Require<BudgetBook>().Settle(underWay, 2.8m);
        Assert.NotNull((await TryAsync(one, call, 0.2m)).Reservation);
        Assert.NotNull((await TryAsync(one, call, 0.01m)).Refusal);
        Assert.NotNull((await TryAsync(two, call, 0.01m)).Refusal);
        proxy.Thaw();
    }

    [Fact]
    public async Task Thresholds_CrossedAtTwoInstances_AreToldOnceEach()
    {
        var call = await CallAsync(1, "estimate");
        await using var one = await HostAsync(call);
        await using var two = await HostAsync(call);
        foreach (var host in new[] { one, two })
        {
            var (reservation, _) = await TryAsync(host, call, 0.1m);
            await host.Require<UsageWriter>().CommitAsync(UsageHost.Row(call.TenantId, 0.45m)).WaitAsync(TimeSpan.FromSeconds(30),
                Cancellation);
            host.Require<BudgetBook>().Settle(reservation!, 0.45m);
        }

        const string told = "SELECT coalesce(string_agg(threshold::text, ' ' ORDER BY threshold), '') FROM usage_alerts WHERE tenant_id = ";
        await UsageWriterTests.UntilAsync(async () => (await database.ScalarAsync<string>($"{told}'{call.TenantId}'")).EndsWith("80",
            StringComparison.Ordinal));
        Assert.Contains(await database.ScalarAsync<string>($"{told}'{call.TenantId}'"), (string[])["50 80", "80"]);
    }

    [Fact]
    public async Task Call_WithinNoBudget_IsNotAskedAbout()
    {
        await using var host = await UsageHost.StartAsync(database.App);

        Assert.Empty(host.Require<BudgetBook>().Of(new InferenceCall(Guid.NewGuid()) { Route = "/test" }));
    }

    private (FreezingProxy Proxy, string Redis) InFrontOfRedis()
    {
        var options = ConfigurationOptions.Parse(database.Redis);
        var (server, port) = options.EndPoints[0] switch
        {
            DnsEndPoint dns => (dns.Host, dns.Port),
            IPEndPoint ip => (ip.Address.ToString(), ip.Port),
            var unknown => throw new NotSupportedException($"{unknown}"),
        };
        var proxy = new FreezingProxy(server, port);
        return (proxy, $"127.0.0.1:{proxy.Port},password={options.Password}");
    }

    private static async Task<(Reservation? Reservation, BudgetRefusal? Refusal)> TryAsync(UsageHost host, InferenceCall call, decimal cost)
    {
        var book = host.Require<BudgetBook>();
        return await book.ReserveAsync(book.Of(call), _ => cost, Cancellation);
    }

    private async Task<InferenceCall> CallAsync(decimal amount, string mode)
    {
        var tenant = Guid.NewGuid();
        await MigratedDatabase.ExecuteAsync(
            database.Admin,
            string.Create(CultureInfo.InvariantCulture,
                $$"""
                INSERT INTO tenants (id, name) VALUES ('{{tenant}}', 'T');
                INSERT INTO tenant_budgets (tenant_id, amount, period, mode, alert_at) VALUES ('{{tenant}}', {{amount}}, 'month',
                    '{{mode}}', '{50,80}');
                """));
        return new InferenceCall(tenant) { Route = "/test" };
    }

    private Task<UsageHost> HostAsync(InferenceCall call, bool redis = true) => HostAsync(call, redis ? database.Redis : null, AtOnce);

    private async Task<UsageHost> HostAsync(InferenceCall call, string? redis, (string, string)[] settings)
    {
        var host = await UsageHost.StartAsync(database.App, redis: redis, settings: settings);
        await UsageWriterTests.UntilAsync(() => Task.FromResult(host.Require<BudgetBook>().Of(call).Count == 1));
        return host;
    }
}
