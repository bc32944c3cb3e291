using System.Net;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using StackExchange.Redis;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Client;

public sealed class RedisClientTests(ServersFixture servers)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task AddRedisClient_ServerAway_HostStartsAndConnectionIsThereUnconnected()
    {
        var builder = Builder($"127.0.0.1:{FreePort.Take()},connectTimeout=200,connectRetry=1");
        builder.AddRedisClient("cache");
        using var host = builder.Build();

        await host.StartAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);
        var connection = await ResolveAsync(host);

        Assert.False(connection.IsConnected);
        await host.StopAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task AddRedisClient_ServerAwayAndAbortAskedFor_ResolvingThrows()
    {
        var builder = Builder($"127.0.0.1:{FreePort.Take()},connectTimeout=200,connectRetry=1,abortConnect=true");
        builder.AddRedisClient("cache");
        using var host = builder.Build();

        await Assert.ThrowsAsync<RedisConnectionException>(() => ResolveAsync(host));
    }

    [Fact]
    public async Task AddRedisClient_ServerAway_HealthCheckSaysUnhealthyInsteadOfThrowing()
    {
        var builder = Builder($"127.0.0.1:{FreePort.Take()},connectTimeout=200,connectRetry=1,syncTimeout=500");
        builder.AddRedisClient("cache");
        using var host = builder.Build();

        var report = await host.Services.GetRequiredService<HealthCheckService>()
            .CheckHealthAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);

        Assert.Equal(HealthStatus.Unhealthy, Assert.Single(report.Entries, entry => entry.Key == "StackExchange.Redis").Value.Status);
    }

    [Fact]
    public async Task AddRedisClient_NoConnectionString_FirstUseNamesTheKey()
    {
        var builder = Builder(connectionString: null);
        builder.AddRedisClient("cache");
        using var host = builder.Build();

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(() => ResolveAsync(host));

        Assert.Contains("ConnectionStrings:cache", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, null, true)]
    [InlineData("Aspire:StackExchange:Redis:DisableHealthChecks", "true", false)]
    [InlineData("Aspire:StackExchange:Redis:cache:DisableHealthChecks", "true", false)]
    [InlineData("Aspire:StackExchange:Redis:other:DisableHealthChecks", "true", true)]
    public void AddRedisClient_SettingsInConfiguration_DecideOnTheHealthCheck(string? key, string? value, bool expected)
    {
        var builder = Builder("127.0.0.1:6379");
        if (key is not null)
            builder.Configuration.AddInMemoryCollection([KeyValuePair.Create(key, value)]);

        builder.AddRedisClient("cache");

        Assert.Equal(expected, HealthChecks(builder).Contains("StackExchange.Redis"));
    }

    [Fact]
    public async Task AddRedisClient_ConnectionStringAndSections_CallbacksSeeThemMerged()
    {
        var builder = Builder("10.0.0.1:6379,password=secret");
        builder.Configuration.AddInMemoryCollection([
            KeyValuePair.Create("Aspire:StackExchange:Redis:ConnectionString", (string?)"10.9.9.9:1"),
            KeyValuePair.Create("Aspire:StackExchange:Redis:cache:ConfigurationOptions:ConnectTimeout", (string?)"200"),
        ]);
        string? settingsSaw = null;
        ConfigurationOptions? optionsSaw = null;
        builder.AddRedisClient(
            "cache",
            settings => settingsSaw = settings.ConnectionString,
            options =>
            {
                optionsSaw = options.Clone();
                options.EndPoints.Clear();
                options.EndPoints.Add(IPAddress.Loopback, FreePort.Take());
                options.ConnectRetry = 1;
            });
        using var host = builder.Build();
        await ResolveAsync(host);

        Assert.Equal("10.0.0.1:6379,password=secret", settingsSaw);
        Assert.NotNull(optionsSaw);
        Assert.Equal("secret", optionsSaw.Password);
        Assert.Equal(200, optionsSaw.ConnectTimeout);
        Assert.False(optionsSaw.AbortOnConnectFail);
    }

    [Fact]
    public async Task AddRedisClient_Connected_AnswersDoNotWaitForWhoeverGotEarlierOnes()
    {
        var builder = Builder(servers.Redis);
        builder.AddRedisClient("cache");
        using var host = builder.Build();
        var database = (await ResolveAsync(host)).GetDatabase();
        using var isHeld = new SemaphoreSlim(0);
        using var release = new ManualResetEventSlim();
        var first = HoldAsync();
        try
        {
            Assert.True(await isHeld.WaitAsync(Patience, TestContext.Current.CancellationToken));
            await database.PingAsync().WaitAsync(Patience, TestContext.Current.CancellationToken);
        }
        finally
        {
            release.Set();
        }

        await first.WaitAsync(Patience, TestContext.Current.CancellationToken);

        // Keeps the thread on which its answer came.
        async Task HoldAsync()
        {
            await database.PingAsync().ConfigureAwait(false);
            isHeld.Release();
            release.Wait(Patience);
        }
    }

    private static HostApplicationBuilder Builder(string? connectionString)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddInMemoryCollection([KeyValuePair.Create("ConnectionStrings:cache", connectionString)]);
        return builder;
    }

    /// <summary>Connecting blocks, so not on the test's own thread.</summary>
    private static Task<IConnectionMultiplexer> ResolveAsync(IHost host)
        => Task.Run(() => host.Services.GetRequiredService<IConnectionMultiplexer>(), TestContext.Current.CancellationToken)
            .WaitAsync(Patience, TestContext.Current.CancellationToken);

    private static IEnumerable<string> HealthChecks(HostApplicationBuilder builder)
    {
        using var services = builder.Services.BuildServiceProvider();
        return services.GetService<IOptions<HealthCheckServiceOptions>>()?.Value.Registrations.Select(check => check.Name) ?? [];
    }
}
