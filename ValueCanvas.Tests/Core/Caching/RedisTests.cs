using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Npgsql;
using StackExchange.Redis;
using ValueCanvas.Core.Jobs;
using ValueCanvas.ServiceDefaults.Caching;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Caching;

/// <summary>What Core does when Redis is there, away, and frozen.</summary>
public sealed class RedisTests(ServersFixture servers)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(500);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task HealthCheck_RedisFreezesAndThaws_DegradesWithinItsBoundAndHeals()
    {
        var direct = ConfigurationOptions.Parse(servers.Redis);
        var (address, port) = Address(direct);
        await using var proxy = new FreezingProxy(address, port);
        using var host = await StartAsync($"127.0.0.1:{proxy.Port},password={direct.Password}");
        await UntilAsync(async () => await CheckAsync(host) == HealthStatus.Healthy);

        proxy.Freeze();
        var startedAt = Stopwatch.GetTimestamp();
        Assert.Equal(HealthStatus.Degraded, await CheckAsync(host));
        // Unbounded, it would wait for good.
        Assert.True(Stopwatch.GetElapsedTime(startedAt) < TimeSpan.FromSeconds(4));

        proxy.Thaw();
        await UntilAsync(async () => await CheckAsync(host) == HealthStatus.Healthy);
        await host.StopAsync(Cancel);
    }

    [Fact]
    public async Task HealthCheck_NothingListens_HostStartsAndIsDegraded()
    {
        using var host = await StartAsync("127.0.0.1:1,connectTimeout=200");

        Assert.Equal(HealthStatus.Degraded, await CheckAsync(host));
        await host.StopAsync(Cancel);
    }

    [Fact]
    public async Task JobSignal_Published_ReachesASubscriber()
    {
        using var host = await StartAsync(servers.Redis);
        var signal = host.Services.GetRequiredService<JobSignal>();
        var heard = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await signal.SubscribeAsync(() => heard.TrySetResult(), Cancel);

        await UntilAsync(() => signal.OfferAsync(room: true, Bound, Cancel));
        await UntilAsync(async () =>
        {
            await signal.PublishAsync();
            return heard.Task.IsCompleted;
        });
        await host.StopAsync(Cancel);
    }

    [Fact]
    public async Task JobSignal_RedisFrozen_PublishingIsBoundedAndTheSubscriptionSurvives()
    {
        var direct = ConfigurationOptions.Parse(servers.Redis);
        var (address, port) = Address(direct);
        await using var proxy = new FreezingProxy(address, port);
        using var host = await StartAsync($"127.0.0.1:{proxy.Port},password={direct.Password}");
        var signal = host.Services.GetRequiredService<JobSignal>();
        var heard = 0;
        await signal.SubscribeAsync(() => Interlocked.Increment(ref heard), Cancel);

        proxy.Freeze();
        var startedAt = Stopwatch.GetTimestamp();
        for (var i = 0; i < 100; i++)
            await signal.PublishAsync();
        // One waits for 50 ms, the others not at all; unbounded, the first would wait for good, and bounded alone they would for 5 s.
        Assert.True(Stopwatch.GetElapsedTime(startedAt) < TimeSpan.FromSeconds(4));
        Assert.False(await signal.OfferAsync(room: true, Bound, Cancel));

        proxy.Thaw();
        var before = Volatile.Read(ref heard);
        await UntilAsync(async () =>
        {
            await signal.PublishAsync();
            return Volatile.Read(ref heard) > before;
        });
        await UntilAsync(() => signal.OfferAsync(room: true, Bound, Cancel));
        await host.StopAsync(Cancel);
    }

    [Fact]
    public async Task JobSignal_RedisComesLater_TheSubscriptionIsMadeThen()
    {
        await using var own = await Servers.StartAsync(Cancel, postgres: false);
        await own.StopRedisAsync(Cancel);
        using var host = await StartAsync(own.Redis);
        var signal = host.Services.GetRequiredService<JobSignal>();
        var heard = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await signal.SubscribeAsync(() => heard.TrySetResult(), Cancel);
        Assert.False(await signal.OfferAsync(room: true, Bound, Cancel));

        await own.StartRedisAsync(Cancel);

        await UntilAsync(async () =>
        {
            await signal.PublishAsync();
            return heard.Task.IsCompleted;
        });
        await host.StopAsync(Cancel);
    }

    [Fact]
    public async Task JobSignal_SeveralWithRoom_OneIsTold()
    {
        // Other tests' queues tell everybody.
        await using var own = await Servers.StartAsync(Cancel, postgres: false);
        using var host = await StartAsync(own.Redis);
        var (first, second) = (await SubscribedAsync(host), await SubscribedAsync(host));
        var publisher = Listen(host).Signal;

        for (var i = 1; i <= 10; i++)
        {
            // Said each second, and forgotten after three.
            Assert.True(await first.Signal.OfferAsync(room: true, Bound, Cancel));
            Assert.True(await second.Signal.OfferAsync(room: true, Bound, Cancel));
            await publisher.PublishAsync();
            await UntilAsync(() => Task.FromResult(first.Heard + second.Heard >= i));
        }

        Assert.Equal(10, first.Heard + second.Heard);
        await host.StopAsync(Cancel);
    }

    [Fact]
    public async Task JobSignal_OneHasNoRoom_TheOtherIsToldAndWithNoneNobody()
    {
        await using var own = await Servers.StartAsync(Cancel, postgres: false);
        using var host = await StartAsync(own.Redis);
        var publisher = Listen(host).Signal;
        var (full, free) = (await SubscribedAsync(host), await SubscribedAsync(host));
        // Last told just now, and full since.
        Assert.True(await full.Signal.OfferAsync(room: true, Bound, Cancel));
        await publisher.PublishAsync();
        await UntilAsync(() => Task.FromResult(full.Heard == 1));
        Assert.True(await full.Signal.OfferAsync(room: false, Bound, Cancel));
        Assert.True(await free.Signal.OfferAsync(room: true, Bound, Cancel));

        await publisher.PublishAsync();
        await UntilAsync(() => Task.FromResult(free.Heard == 1));
        Assert.True(await free.Signal.OfferAsync(room: true, Bound, Cancel));
        await full.Signal.PassOnAsync();
        await UntilAsync(() => Task.FromResult(free.Heard == 2));
        // Not to itself.
        await free.Signal.PassOnAsync();
        Assert.True(await free.Signal.OfferAsync(room: false, Bound, Cancel));
        await publisher.PublishAsync();
        Assert.True(await free.Signal.OfferAsync(room: true, Bound, Cancel));
        await publisher.PublishAsync();
        await UntilAsync(() => Task.FromResult(free.Heard >= 3));

        Assert.Equal((1, 3), (full.Heard, free.Heard));
        await host.StopAsync(Cancel);
    }

    [Fact]
    public async Task JobSignal_RedisForgotWhoHasRoom_EverybodyIsTold()
    {
        using var host = await StartAsync(servers.Redis);
        Listener[] listeners = [Listen(host), Listen(host)];
        foreach (var listener in listeners)
            await listener.Signal.SubscribeAsync(listener.Hear, Cancel);

        await UntilAsync(async () =>
        {
            await host.Services.GetRequiredService<JobSignal>().PublishAsync();
            return listeners.All(listener => listener.Heard > 0);
        });
        await host.StopAsync(Cancel);
    }

    // Its bounds never end: a busy machine is no Redis that is away.
    private static Listener Listen(IHost host) =>
        new(ActivatorUtilities.CreateInstance<JobSignal>(host.Services, new SteppedClock()));

    private static async Task<Listener> SubscribedAsync(IHost host)
    {
        var listener = Listen(host);
        await UntilAsync(() => listener.Signal.OfferAsync(room: false, Bound, Cancel));
        await listener.Signal.SubscribeAsync(listener.Hear, Cancel);
        return listener;
    }

    private static async Task<IHost> StartAsync(string redis)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration["ConnectionStrings:cache"] = redis;
        builder.AddValueCanvasCache();
        // Its name alone counts: each test has a queue of its own.
        builder.Services.AddSingleton(NpgsqlDataSource.Create($"Host=127.0.0.1;Database=signal_{Guid.NewGuid():N}"));
        builder.Services.AddSingleton<JobSignal>();
        var host = builder.Build();
        await host.StartAsync(Cancel).WaitAsync(Patience, Cancel);
        return host;
    }

    private static async Task<HealthStatus> CheckAsync(IHost host) =>
        (await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(Cancel)).Entries["redis"].Status;

    private static (string Host, int Port) Address(ConfigurationOptions options) => options.EndPoints[0] switch
    {
        System.Net.DnsEndPoint dns => (dns.Host, dns.Port),
        System.Net.IPEndPoint ip => (ip.Address.ToString(), ip.Port),
        _ => throw new InvalidOperationException("Redis listens on TCP."),
    };

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        var startedAt = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            Assert.True(Stopwatch.GetElapsedTime(startedAt) < Patience, "The condition did not come true in time.");
            await timer.WaitForNextTickAsync(Cancel);
        }
    }

    private sealed class Listener(JobSignal signal)
    {
        private int _heard;

        public JobSignal Signal => signal;

        public int Heard => Volatile.Read(ref _heard);

        public void Hear() => Interlocked.Increment(ref _heard);
    }
}
