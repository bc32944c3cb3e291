using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class FleetTests
{
    private const string Ask = """{"model":"default"}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task TwoReplicas_OneDead_EveryRequestIsAnswered()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start([DeadAddress.Take(), replica.Address]);

        for (var i = 0; i < 10; i++)
        {
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.Equal("down", (await proxy.ReplicaAsync(0)).GetProperty("state").GetString());
        Assert.Equal("refuses connections", (await proxy.ReplicaAsync(0)).GetProperty("lastError").GetString());
        var (status, code) = await HealthAsync(proxy);
        Assert.Equal(("degraded", HttpStatusCode.OK), (status, code));
    }

    [Fact]
    public async Task TwoReplicas_Idle_TakeTurns()
    {
        await using var one = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var two = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start([one.Address, two.Address]);

        for (var i = 0; i < 10; i++)
        {
            using var response = await proxy.PostAsync(Ask);
            await response.Content.ReadAsStringAsync(Cancel);
        }

        Assert.InRange(one.Received.Count, 4, 6);
        Assert.Equal(10, one.Received.Count + two.Received.Count);
        Assert.Equal("healthy", (await HealthAsync(proxy)).Status);
    }

    [Fact]
    public async Task TwoReplicas_OneBusy_TheOtherIsChosen()
    {
        var busy = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var free = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var one = await FakeReplica.StartAsync(async context =>
        {
            busy.TrySetResult();
            await free.Task;
            await FakeReplica.AnswerAsync(context);
        });
        await using var two = await FakeReplica.StartAsync(FakeReplica.AnswerAsync, "small-model", "only-on-two");
        await using var proxy = ProxyHost.Start([one.Address, two.Address], ("Inference:Aliases:first", "small-model"));

        // The first request goes to either; ask until the slow one has it.
        var waiting = new List<Task<HttpResponseMessage>>();
        while (!busy.Task.IsCompleted)
        {
            waiting.Add(proxy.PostAsync(Ask));
            await Task.WhenAny(busy.Task, waiting[^1]).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        }

        var before = two.Received.Count;
        for (var i = 0; i < 5; i++)
        {
            // A client may have its answer a moment before the proxy counts the replica as free again.
            await ProxyHost.UntilAsync(async () => (await proxy.ReplicaAsync(1)).GetProperty("inFlight").GetInt32() == 0);
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal(new Uri(two.Address).Authority, response.Headers.GetValues("x-valuecanvas-target").Single());
        }

        Assert.Equal(before + 5, two.Received.Count);
        free.SetResult();
        foreach (var response in await Task.WhenAll(waiting).WaitAsync(TimeSpan.FromSeconds(30), Cancel))
            response.Dispose();
    }

    [Fact]
    public async Task Replica_DiesBetweenLooks_NextOneAnswersUnseen()
    {
        await using var one = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var two = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start([one.Address, two.Address], ("Inference:ProbeInterval", "00:10:00"));
        await one.StopAsync();

        var attempts = new List<string>();
        for (var i = 0; i < 6; i++)
        {
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            attempts.Add(response.Headers.GetValues("x-valuecanvas-attempts").Single());
        }

        // The first that went to the dead one needed two; it is marked, and nobody goes there again.
        Assert.Single(attempts, "2");
    }

    [Fact]
    public async Task Replica_BreaksBeforeTheFirstByte_NextOneAnswersUnseen()
    {
        await using var broken = await FakeReplica.StartAsync(context =>
        {
            context.Abort();
            return Task.CompletedTask;
        });
        await using var whole = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start([broken.Address, whole.Address]);

        for (var i = 0; i < 4; i++)
        {
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(new Uri(whole.Address).Authority, response.Headers.GetValues("x-valuecanvas-target").Single());
        }

        Assert.NotEmpty(broken.Received);
        Assert.Equal(4, whole.Received.Count);
    }

    [Fact]
    public async Task Replica_StreamThatNeverBegins_NextOneTakesOverAfterTheFirstTokenLimit()
    {
        await using var silent = await FakeReplica.StartAsync(
            context => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted));
        await using var whole = await FakeReplica.StartAsync(FakeReplica.StreamAsync);
        var (clock, limit) = (new SteppedClock(), TimeSpan.FromSeconds(3));
        await using var proxy = ProxyHost.Start(
            clock, [silent.Address, whole.Address],
            ("Inference:FirstTokenTimeout", $"{limit}"), ("Inference:ProbeInterval", "12:00:00"));

        for (var i = 0; i < 2; i++)
        {
            var (before, due) = (silent.Received.Count, clock.GetTimestamp() + limit.Ticks);
            var asking = proxy.PostAsync("""{"model":"default","stream":true}""");
            await ProxyHost.UntilAsync(() => Task.FromResult(
                asking.IsCompleted || (silent.Received.Count > before && clock.IsSet(due))));
            if (!asking.IsCompleted)
                clock.Advance(limit);

            using var response = await asking.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
            Assert.EndsWith("data: [DONE]\n\n", await response.Content.ReadAsStringAsync(Cancel));
        }

        Assert.NotEmpty(silent.Received);
    }

    [Fact]
    public async Task AllReplicas_Away_503WithRetryAfterUntilOneIsBack()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica);
        await replica.StopAsync();

        using (var response = await proxy.PostAsync(Ask))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
            Assert.NotNull(response.Headers.RetryAfter);
            Assert.Equal("no_healthy_replica", (await response.ErrorAsync()).GetProperty("code").GetString());
        }

        await ProxyHost.UntilAsync(async () => await HealthAsync(proxy) is ("unhealthy", HttpStatusCode.ServiceUnavailable));
        await replica.StartAsync();
        await ProxyHost.UntilAsync(async () => await HealthAsync(proxy) is ("healthy", HttpStatusCode.OK));

        using var recovered = await proxy.PostAsync(Ask);
        Assert.Equal(HttpStatusCode.OK, recovered.StatusCode);
        Assert.Equal(JsonValueKind.String, (await proxy.ReplicaAsync(0)).GetProperty("lastError").ValueKind);
    }

    [Fact]
    public async Task Proxy_StartsWithoutAnyReplica_AndSaysSo()
    {
        await using var proxy = ProxyHost.Start([DeadAddress.Take()]);

        using var response = await proxy.PostAsync(Ask);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal(("unhealthy", HttpStatusCode.ServiceUnavailable), await HealthAsync(proxy));
    }

    [Fact]
    public async Task Endpoint_NameOfAService_MeansItsAddresses()
    {
        await using var one = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var two = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(["http://vllm-0", "http://fleet"],
            ("services:vllm-0:http:0", one.Address), ("services:fleet:http:0", two.Address), ("services:fleet:http:1", DeadAddress.Take()));

        Assert.Equal("vllm-0", (await proxy.ReplicaAsync(0)).GetProperty("name").GetString());
        Assert.Equal("fleet#0", (await proxy.ReplicaAsync(1)).GetProperty("name").GetString());
        Assert.Equal("fleet#1", (await proxy.ReplicaAsync(2)).GetProperty("name").GetString());
        using var response = await proxy.PostAsync(Ask);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Configuration_Reloaded_IsUsedFromTheNextRequestAndRefusedWhenItMakesNoSense()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync, "small-model", "large-model");
        await using var proxy = ProxyHost.Start(replica);
        var configuration = (IConfigurationRoot)proxy.Services.GetRequiredService<IConfiguration>();

        configuration["Inference:Aliases:nick"] = "large-model";
        configuration.Reload();
        using var known = await proxy.PostAsync("""{"model":"nick"}""");
        Assert.Equal(HttpStatusCode.OK, known.StatusCode);
        Assert.Equal("""{"model":"large-model"}""", Assert.Single(replica.Received).Text);

        configuration["Inference:Aliases:nick"] = "nock";
        configuration["Inference:Aliases:nock"] = "nick";
        configuration.Reload();
        using var still = await proxy.PostAsync("""{"model":"nick"}""");
        Assert.Equal(HttpStatusCode.OK, still.StatusCode);
        Assert.Equal("up", (await proxy.ReplicaAsync(0)).GetProperty("state").GetString());
    }

    [Theory]
    [InlineData("Inference:Providers:vllm:Endpoints:0", "vllm")]
    [InlineData("Inference:Providers:vllm:Endpoints:0", "http://user:word@vllm")]
    [InlineData("Inference:Providers:vllm:Endpoints:0", "http://vllm/v1")]
    [InlineData("Inference:DefaultModel", "")]
    [InlineData("Inference:Aliases:loop", "loop2", "Inference:Aliases:loop2", "loop")]
    [InlineData("Inference:IdleTimeout", "00:00:00")]
    [InlineData("Inference:MaxBodyBytes", "1")]
    [InlineData("Inference:Breaker:FailureRatio", "1.5")]
    [InlineData("Inference:Breaker:OpenDuration", "00:02:00", "Inference:Breaker:MaxOpenDuration", "00:01:00")]
    [InlineData("Inference:Retries:MaxAttempts", "0")]
    [InlineData("Inference:ModelLimits:0:Model", "")]
    [InlineData("Inference:ModelLimits:0:IdleTimeout", "-00:00:01", "Inference:ModelLimits:0:Model", "m")]
    public void Setting_MakesNoSense_StopsTheStartAndNamesTheKey(params string[] settings)
    {
        var failure = Assert.Throws<OptionsValidationException>(() => ProxyHost.Start(
            ["http://127.0.0.1:1"], [.. settings.Chunk(2).Select(pair => (pair[0], pair[1]))]));
        Assert.Contains(settings[0], failure.Message);
    }

    private static async Task<(string? Status, HttpStatusCode Code)> HealthAsync(ProxyHost proxy)
    {
        using var response = await proxy.Client.GetAsync("/health/ready", Cancel);
        var body = await response.Content.ReadFromJsonAsync<JsonElement>(Cancel);
        return (body.GetProperty("checks").GetProperty("vllm").GetString(), response.StatusCode);
    }
}
