using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using ValueCanvas.ServiceDefaults.Health;

namespace ValueCanvas.Tests.ServiceDefaults;

public sealed class HealthTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(HealthStatus.Healthy, "healthy", HttpStatusCode.OK)]
    [InlineData(HealthStatus.Degraded, "degraded", HttpStatusCode.OK)]
    [InlineData(HealthStatus.Unhealthy, "unhealthy", HttpStatusCode.ServiceUnavailable)]
    public async Task Health_WorstOfTheChecks_DecidesStatusAndCode(HealthStatus worst, string status, HttpStatusCode code)
    {
        await using var app = await StartAsync(checks => checks
            .AddCheck("database", () => HealthCheckResult.Healthy())
            .AddCheck("redis", () => new HealthCheckResult(worst, "says so")));
        using var client = app.Client();

        foreach (var path in new[] { "/health", "/health/ready", "/ready", "/api/health", "/api/health/ready" })
        {
            using var response = await client.GetAsync(path, Cancel);
            Assert.Equal(code, response.StatusCode);
            Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
            var body = await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
            Assert.Equal(status, body.GetProperty("status").GetString());
            Assert.False(string.IsNullOrEmpty(body.GetProperty("version").GetString()));
            Assert.Equal("healthy", body.GetProperty("checks").GetProperty("database").GetString());
            Assert.Equal(status, body.GetProperty("services").GetProperty("redis").GetProperty("status").GetString());
            Assert.True(body.GetProperty("services").GetProperty("redis").GetProperty("latencyMs").GetDouble() >= 0);
        }
    }

    [Fact]
    public async Task Health_CheckThrows_SaysSoWithoutTheMessage()
    {
        await using var app = await StartAsync(
            checks => checks.AddCheck("database", () => throw new InvalidOperationException("password=geheim")));
        using var client = app.Client();

        using var response = await client.GetAsync("/health", Cancel);
        var body = await response.Content.ReadAsStringAsync(Cancel);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains("the check failed", body);
        Assert.DoesNotContain("geheim", body);
    }

    [Fact]
    public async Task Health_CheckHangs_AnswersWithinTheBoundAndStartsItOnce()
    {
        var calls = 0;
        var never = new TaskCompletionSource<HealthCheckResult>();
        await using var app = await StartAsync(
            checks => checks
                .AddAsyncCheck("stuck", () =>
                {
                    Interlocked.Increment(ref calls);
                    return never.Task;
                })
                .AddCheck("fine", () => HealthCheckResult.Healthy()),
            ("Health:CheckTimeout", "00:00:00.2"), ("Health:CacheFor", "00:00:00"));
        using var client = app.Client();

        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < 3; i++)
        {
            using var response = await client.GetAsync("/ready", Cancel);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
            var body = await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
            Assert.Equal("healthy", body.GetProperty("checks").GetProperty("fine").GetString());
            Assert.StartsWith("no answer", body.GetProperty("services").GetProperty("stuck").GetProperty("error").GetString());
        }

        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(10));
        Assert.Equal(1, calls);
    }

    [Fact]
    public async Task Health_ManyProbesAtOnce_ShareOneRound()
    {
        var calls = 0;
        var open = new TaskCompletionSource();
        await using var app = await StartAsync(
            checks => checks.AddAsyncCheck("slow", async () =>
            {
                Interlocked.Increment(ref calls);
                await open.Task;
                return HealthCheckResult.Healthy();
            }),
            ("Health:CheckTimeout", "00:00:10"), ("Health:CacheFor", "00:01:00"));
        using var client = app.Client();

        var probes = Enumerable.Range(0, 20).Select(_ => client.GetAsync("/health", Cancel)).ToArray();
        open.SetResult();
        foreach (var response in await Task.WhenAll(probes))
        {
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            response.Dispose();
        }

        Assert.Equal(1, calls);
    }

    [Fact]
    public async Task Liveness_DependencyDead_Is200AndRunsNoCheck()
    {
        var calls = 0;
        await using var app = await StartAsync(checks => checks.AddCheck("database", () =>
        {
            Interlocked.Increment(ref calls);
            return HealthCheckResult.Unhealthy();
        }));
        using var client = app.Client();

        Assert.Contains("healthy", await client.GetStringAsync("/health/live", Cancel));
        Assert.Contains("healthy", await client.GetStringAsync("/api/health/live", Cancel));
        Assert.Equal(0, calls);
    }

    [Fact]
    public async Task Shutdown_HasBegun_ReadinessIs503DrainingWhileTheDrainLasts_AndConnectionsClose()
    {
        await using var app = await StartAsync(_ => { }, ("Shutdown:Drain", "00:00:20"), ("Shutdown:Timeout", "00:00:30"));
        using var client = app.Client();
        using (var before = await client.GetAsync("/health/live", Cancel))
            Assert.NotEqual(true, before.Headers.ConnectionClose);
        using var giveUp = new CancellationTokenSource();
        var stopping = app.StopAsync(giveUp.Token);
        Assert.True(app.Lifetime.ApplicationStopping.IsCancellationRequested);

        foreach (var path in new[] { "/ready", "/health/ready", "/api/health/ready" })
        {
            using var response = await client.GetAsync(path, Cancel);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
            Assert.Contains("\"draining\"", await response.Content.ReadAsStringAsync(Cancel));
            // The next request goes elsewhere, where there is an elsewhere.
            Assert.True(response.Headers.ConnectionClose);
        }

        Assert.Contains("healthy", await client.GetStringAsync("/health/live", Cancel));
        Assert.False(stopping.IsCompleted);
        await giveUp.CancelAsync();
        await Record.ExceptionAsync(() => stopping.WaitAsync(TimeSpan.FromSeconds(30), Cancel));
    }

    [Theory]
    [InlineData("Shutdown:Timeout", "00:00:01")]
    [InlineData("Shutdown:Drain", "-00:00:01")]
    [InlineData("Health:CheckTimeout", "00:00:00")]
    public async Task Service_SettingMakesNoSense_RefusesToStartAndNamesTheKey(string key, string value)
    {
        var failure = await Assert.ThrowsAsync<Microsoft.Extensions.Options.OptionsValidationException>(
            () => ServiceHost.StartAsync(settings: [(key, value)]));
        Assert.Contains(key, failure.Message);
    }

    private static Task<WebApplication> StartAsync(Action<IHealthChecksBuilder> checks, params (string, string)[] settings) =>
        ServiceHost.StartAsync(
            builder => checks(builder.Services.AddHealthChecks()),
            app => app.MapHealthEndpoints("/api/health"),
            settings);
}
