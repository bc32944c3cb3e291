using System.Net;
using System.Text.Json;
using Npgsql;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Tests.Core.Caching;
using ValueCanvas.Tests.Core.Canvases;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api;

/// <summary>Redis, PostgreSQL and the proxy go away and come back; the servers are this class's own.</summary>
public sealed class DependenciesTests
{
    private static readonly string[] HealthPaths =
        ["/health", "/health/ready", "/ready", "/api/health", "/api/health/ready"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Dependencies_GoAndComeBack_AreToldAndSurvived()
    {
        await using var servers = await Servers.StartAsync(Cancellation);
        await using var inference = await FakeInference.StartAsync();
        inference.Answer = context => FakeInference.Text(
            context, 200, FakeInference.Completion(CanvasGeneratorTests.ValidAnswer(CanvasType.Lean).ToJsonString()));
        var database = await ApiDatabase.MigrateAsync(await servers.CreateDatabaseAsync("api", Cancellation));
        var clock = new ShiftedClock();
        await using var api = new ApiHost(clock, inference.Address, database, servers.Redis);

        // All there.
        await HealthIsAsync(api, HttpStatusCode.OK, "healthy", "database", "healthy");
        await CanvasAnswersAsync(api, HttpStatusCode.Created);

        // Redis away: degraded, everything works.
        await servers.StopRedisAsync(Cancellation);
        await HealthIsAsync(api, HttpStatusCode.OK, "degraded", "redis", "degraded");
        await CanvasAnswersAsync(api, HttpStatusCode.Created);
        await ChatAnswersAsync(api, HttpStatusCode.OK);
        await servers.StartRedisAsync(Cancellation);
        await HealthIsAsync(api, HttpStatusCode.OK, "healthy", "redis", "healthy");

        // PostgreSQL away: degraded; canvases are refused for now, chat goes on for those who are known.
        await servers.StopPostgresAsync(Cancellation);
        await HealthIsAsync(api, HttpStatusCode.OK, "degraded", "database", "degraded");
        var asked = inference.Seen.Count;
        await CanvasAnswersAsync(api, HttpStatusCode.ServiceUnavailable);
        Assert.Equal(asked, inference.Seen.Count);
        using (var read = await api.GetAsync($"/api/canvas/{Guid.NewGuid()}"))
            await ApiHost.ProblemAsync(read, 503);
        await ChatAnswersAsync(api, HttpStatusCode.OK);
        using (var stranger = api.ClientWith("vck_live_0123456789abcdef_unknown"))
        using (var refused = await stranger.GetAsync("/api/canvas", Cancellation))
            Assert.False(refused.IsSuccessStatusCode);

        // For nearly ten minutes. Then nobody is known any more, and there is nothing to be ready for.
        clock.Advance(TimeSpan.FromMinutes(9));
        await HealthIsAsync(api, HttpStatusCode.OK, "degraded", "database", "degraded");
        await ChatAnswersAsync(api, HttpStatusCode.OK);
        clock.Advance(TimeSpan.FromMinutes(2));
        await HealthIsAsync(api, HttpStatusCode.ServiceUnavailable, "unhealthy", "database", "unhealthy");
        await ChatAnswersAsync(api, HttpStatusCode.ServiceUnavailable);
        await servers.StartPostgresAsync(Cancellation);
        await HealthIsAsync(api, HttpStatusCode.OK, "healthy", "database", "healthy");
        await CanvasAnswersAsync(api, HttpStatusCode.Created);

        // Every model server away.
        inference.ReadyStatus = 503;
        await HealthIsAsync(api, HttpStatusCode.ServiceUnavailable, "unhealthy", "inference", "unhealthy");
        inference.ReadyStatus = 200;
        await HealthIsAsync(api, HttpStatusCode.OK, "healthy", "inference", "healthy");
    }

    [Fact]
    public async Task Database_NotMigrated_IsNotReady()
    {
        await using var servers = await Servers.StartAsync(Cancellation);
        await using var inference = await FakeInference.StartAsync();
        await using var api = new ApiHost(inference.Address, await servers.CreateDatabaseAsync("empty", Cancellation), servers.Redis);

        await HealthIsAsync(api, HttpStatusCode.ServiceUnavailable, "unhealthy", "database", "unhealthy");

        var health = await ApiHost.JsonAsync(await api.GetAsync("/health"));
        Assert.Contains("migrated", health.GetProperty("services").GetProperty("database")
            .GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Database_Frozen_Is503InSecondsWithIdleAndWithNewConnections()
    {
        await using var servers = await Servers.StartAsync(Cancellation);
        var direct = new NpgsqlConnectionStringBuilder(
            await ApiDatabase.MigrateAsync(await servers.CreateDatabaseAsync("api", Cancellation)));
        await using var proxy = new FreezingProxy(direct.Host!, direct.Port);
        direct.Host = "127.0.0.1";
        direct.Port = proxy.Port;
        await using var api = new ApiHost(
            database: direct.ConnectionString,
            settings: [("Database:ConnectTimeout", "00:00:02"), ("Database:CommandTimeout", "00:00:02")]);
        using (var warm = await api.GetAsync("/api/canvas"))
            Assert.Equal(HttpStatusCode.OK, warm.StatusCode);

        proxy.Freeze();
        for (var ask = 0; ask < 2; ask++)
        {
            var asked = TimeProvider.System.GetTimestamp();
            using var response = await api.GetAsync("/api/canvas");
            await ApiHost.ProblemAsync(response, 503);
            // Two seconds, as is set; without that it would not end, or by the client's minute.
            Assert.InRange(TimeProvider.System.GetElapsedTime(asked).TotalSeconds, 0, 9);
        }

        proxy.Thaw();
        await InferenceProxy.ProxyHost.UntilAsync(async () =>
        {
            using var after = await api.GetAsync("/api/canvas");
            return after.StatusCode == HttpStatusCode.OK;
        });
    }

    [Fact]
    public async Task Everything_Away_ServiceStartsAndLives()
    {
        await using var api = new ApiHost();

        foreach (var path in new[] { "/health/live", "/api/health/live" })
        {
            using var live = await api.GetAsync(path);
            Assert.Equal(HttpStatusCode.OK, live.StatusCode);
        }

        await HealthIsAsync(api, HttpStatusCode.ServiceUnavailable, "unhealthy", "redis", "degraded");
        using var response = await api.GetAsync("/api/canvas");
        await ApiHost.ProblemAsync(response, 503);
        Assert.NotNull(response.Headers.RetryAfter?.Delta);
    }

    private static async Task CanvasAnswersAsync(ApiHost api, HttpStatusCode status)
    {
        using var response = await api.PostAsync("/api/canvas/generate", """{"businessDescription":"A bakery","type":"lean"}""");
        Assert.Equal(status, response.StatusCode);
        if (status != HttpStatusCode.Created)
            await ApiHost.ProblemAsync(response, (int)status);
    }

    private static async Task ChatAnswersAsync(ApiHost api, HttpStatusCode status)
    {
        using var response = await api.PostAsync("/api/llm/chat", """{"prompt":"Hi"}""");
        Assert.Equal(status, response.StatusCode);
    }

    /// <summary>Until health says so (checks answer for half a second, connections come back with a delay), on every path.</summary>
    private static async Task HealthIsAsync(ApiHost api, HttpStatusCode code, string status, string check, string checkStatus)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        bound.CancelAfter(TimeSpan.FromSeconds(30));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        var seen = "";
        while (true)
        {
            using var response = await api.Client.GetAsync("/health", bound.Token);
            seen = await response.Content.ReadAsStringAsync(bound.Token);
            var body = JsonDocument.Parse(seen).RootElement;
            if (response.StatusCode == code && body.GetProperty("status").GetString() == status
                && body.GetProperty("checks").GetProperty(check).GetString() == checkStatus && await EverywhereAsync())
            {
                return;
            }

            try
            {
                await tick.WaitForNextTickAsync(bound.Token);
            }
            catch (OperationCanceledException)
            {
                Assert.Fail($"Expected {(int)code} {status} with {check} {checkStatus}; last seen: {(int)response.StatusCode} {seen}");
            }
        }

        // A check that was late, as the machine was, is asked for again.
        async Task<bool> EverywhereAsync()
        {
            var codes = new List<HttpStatusCode>();
            foreach (var path in HealthPaths)
            {
                using var response = await api.GetAsync(path);
                codes.Add(response.StatusCode);
            }

            return codes.TrueForAll(seen => seen == code);
        }
    }
}
