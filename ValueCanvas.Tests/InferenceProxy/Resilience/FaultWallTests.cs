using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

/// <summary>Faults that are no row of the table: with nobody else to ask, of frozen servers, of clients, and outages of all.</summary>
public sealed class FaultWallTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    // With nobody else to ask: never a clean end, and the server's own words where it had any.
    [Theory]
    [InlineData("reset", 503, "no_healthy_replica")]
    [InlineData("500", 500, "the server's own words")]
    [InlineData("401", 502, "upstream_credentials_exhausted")]
    [InlineData("429", 429, "the server's own words")]
    [InlineData("empty stream", 502, "upstream_failed")]
    [InlineData("error first", 502, "upstream_failed")]
    [InlineData("malformed first", 502, "upstream_failed")]
    [InlineData("cut after the role", 502, "upstream_failed")]
    public async Task BeforeTheFirstContent_FaultOfTheOnlyServer_IsAnError(string fault, int status, string words)
    {
        await using var pair = await FaultyPair.StartAsync(context => FailAsync(context, fault), alone: true);

        var outcome = await pair.AskAsync();

        Assert.Equal((status, 1), (outcome.Status, outcome.Attempts));
        Assert.Contains(words, outcome.Text);
    }

    [Fact]
    public async Task ThreeFailures_OfTheOnlyServer_RefuseWithTheTimeUntilItIsAskedAgain()
    {
        await using var pair = await FaultyPair.StartAsync(context => FailAsync(context, "error first"), alone: true);
        for (var i = 0; i < 3; i++)
            Assert.Equal(502, (await pair.AskAsync()).Status);

        var refused = await pair.AskAsync();

        Assert.Equal((503, 0, TimeSpan.FromSeconds(30)), (refused.Status, refused.Attempts, refused.RetryAfter));
        Assert.Equal(3, pair.Primary.Received.Count);
    }

    [Fact]
    public async Task SlowFirstToken_OfTheOnlyServer_IsAnErrorEventBehindTheComments()
    {
        await using var pair = await FaultyPair.StartAsync(
            context => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted), alone: true);

        var asking = pair.AskAsync();
        await ProxyHost.UntilAsync(() => Task.FromResult(!pair.Primary.Received.IsEmpty));
        await pair.Clock.AdvanceUntilAsync(TimeSpan.FromSeconds(1), () => asking.IsCompleted);
        var outcome = await asking;

        Assert.Equal(200, outcome.Status);
        Assert.StartsWith(": keep-alive\n\n", outcome.Text);
        Assert.EndsWith("\n\n", outcome.Text);
        Assert.Contains("\"code\":\"upstream_timeout\"", outcome.Text);
        Assert.DoesNotContain("[DONE]", outcome.Text);
    }

    [Fact]
    public async Task Frozen_WhileAnAnswerIsAwaited_TheOtherAnswersLongBeforeTheTotalLimit()
    {
        await using var pair = await FaultyPair.StartAsync(
            context => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted));

        Task<Outcome> asking;
        do
        {
            asking = pair.AskAsync(FaultyPair.Ask);
            await ProxyHost.UntilAsync(() => Task.FromResult(asking.IsCompleted || !pair.Primary.Received.IsEmpty));
        }
        while (pair.Primary.Received.IsEmpty);

        // Health looks succeed: the answer may yet come.
        pair.Clock.Advance(TimeSpan.FromSeconds(100));
        Assert.False(asking.IsCompleted);

        var fleet = pair.Proxy.Services.GetRequiredService<ValueCanvas.InferenceProxy.Providers.Fleet>();
        fleet.Current.Replicas[0].Failed("no answer to the health look");
        pair.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.False(asking.IsCompleted); // one failure may be anything
        pair.Clock.Advance(TimeSpan.FromSeconds(2));
        var outcome = await asking.WaitAsync(TimeSpan.FromSeconds(20), Cancel);

        Assert.Equal((200, 2), (outcome.Status, outcome.Attempts));
        Assert.Equal("headers_timeout", (await pair.BreakerAsync()).GetProperty("lastFailure").GetString());
    }

    // A server that accepts connections and answers nothing, health looks included, is left long before the twenty seconds to the status
    // line.
    [Theory]
    [InlineData(FaultyPair.Ask)]
    [InlineData(FaultyPair.AskStream)]
    public async Task Frozen_BeforeTheFirstByte_TheOtherAnswersSoon(string ask)
    {
        var (fakes, frozen) = (new List<FakeReplica>(), 0);
        async Task AnswerAsync(HttpContext context)
        {
            if (Interlocked.Exchange(ref frozen, 1) == 0)
            {
                var asked = fakes.Single(fake => new Uri(fake.Address).Port == context.Connection.LocalPort);
                asked.Frozen = true;
                await asked.ServeAsync(context);
            }

            await FakeReplica.StreamAsync(context);
        }

        await using var one = await FakeReplica.StartAsync(AnswerAsync);
        await using var two = await FakeReplica.StartAsync(AnswerAsync);
        fakes.AddRange([one, two]);
        await using var proxy = ProxyHost.Start([one.Address, two.Address],
            ("Inference:ProbeTimeout", "00:00:01"), ("Inference:FrozenTimeout", "00:00:02.5"));
        var started = TimeProvider.System.GetTimestamp();

        using var response = await proxy.PostAsync(ask);
        var text = await response.Content.ReadAsStringAsync(Cancel);

        Assert.InRange(TimeProvider.System.GetElapsedTime(started), TimeSpan.FromSeconds(2.5), TimeSpan.FromSeconds(15));
        Assert.EndsWith("data: [DONE]\n\n", text);
        Assert.Equal("2", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        var index = fakes.FindIndex(fake => fake.Frozen);
        Assert.Equal("headers_timeout", (await proxy.ReplicaAsync(index)).GetProperty("breakers")[0]
            .GetProperty("lastFailure").GetString());
    }

    [Theory]
    [InlineData("dead", "http", "refuses connections")]
    [InlineData("no-such-host.invalid", "http", null)]
    [InlineData("plain", "https", "no TLS connection")]
    public async Task Down_FromTheStart_IsNeverAsked(string host, string scheme, string? error)
    {
        await using var plain = await FakeReplica.StartAsync(FakeReplica.StreamAsync);
        await using var whole = await FakeReplica.StartAsync(FakeReplica.StreamAsync);
        var address = host switch
        {
            "dead" => DeadAddress.Take(),
            "plain" => plain.Address.Replace("http:", $"{scheme}:"),
            _ => $"{scheme}://{host}",
        };
        await using var proxy = ProxyHost.Start([address, whole.Address]);

        for (var i = 0; i < 4; i++)
        {
            using var response = await proxy.PostAsync(FaultyPair.AskStream);
            Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
            Assert.EndsWith("data: [DONE]\n\n", await response.Content.ReadAsStringAsync(Cancel));
        }

        var replica = await proxy.ReplicaAsync(0);
        Assert.Equal("down", replica.GetProperty("state").GetString());
        Assert.Equal(error ?? replica.GetProperty("lastError").GetString(), replica.GetProperty("lastError").GetString());
        Assert.Empty(plain.Received);
    }

    [Fact]
    public async Task Refused_AfterItWasUp_TheOtherAnswersUnseenAndItIsLeftAlone()
    {
        await using var pair = await FaultyPair.StartAsync(FakeReplica.StreamAsync);
        await pair.Primary.StopAsync();

        var outcomes = new List<Outcome>();
        for (var i = 0; i < 6; i++)
        {
            outcomes.Add(await pair.AskAsync());
            outcomes[^1].AssertWhole();
        }

        Assert.Single(outcomes, o => o.Attempts == 2);
        Assert.Equal("connect", (await pair.BreakerAsync()).GetProperty("lastFailure").GetString());
        Assert.Equal("down", (await pair.Proxy.ReplicaAsync(0)).GetProperty("state").GetString());
    }

    [Fact]
    public async Task Outage_OfAllUnderLoad_IsNotMultiplied()
    {
        await using var one = await FakeReplica.StartAsync(context => FailAsync(context, "500"));
        await using var two = await FakeReplica.StartAsync(context => FailAsync(context, "500"));
        await using var proxy = ProxyHost.Start(new SteppedClock(), [one.Address, two.Address],
            ("Inference:ProbeInterval", "12:00:00"), ("Inference:Breaker:MinSamples", "1000"),
                ("Inference:Breaker:ConsecutiveFailures", "1000"));

        for (var i = 0; i < 50; i++)
        {
            using var response = await proxy.PostAsync(FaultyPair.AskStream);
            Assert.Equal(500, (int)response.StatusCode);
        }

        Assert.InRange(one.Received.Count + two.Received.Count, 51, 60);
    }

    // Slow is what the option says, or the model's own limit.
    [Theory]
    [InlineData(FaultyPair.Ask, "Inference:Breaker:SlowAnswer", 10, true)]
    [InlineData(FaultyPair.Ask, "Inference:ModelLimits:0:SlowAnswer", 10, true)]
    [InlineData(FaultyPair.Ask, "Inference:Breaker:SlowFirstToken", 10, false)]
    [InlineData(FaultyPair.Ask, "Inference:Breaker:SlowAnswer", 4, false)]
    [InlineData(FaultyPair.AskStream, "Inference:Breaker:SlowAnswer", 10, false)]
    [InlineData(FaultyPair.AskStream, "Inference:ModelLimits:0:SlowFirstToken", 10, true)]
    public async Task SlowAnswers_LongerThanTheLimit_OpenTheBreaker(string ask, string key, int seconds, bool opens)
    {
        FaultyPair? pair = null;
        await using var started = pair = await FaultyPair.StartAsync(
            context =>
            {
                pair!.Clock.Advance(TimeSpan.FromSeconds(seconds));
                return FakeReplica.StreamAsync(context);
            },
            alone: true, ("Inference:ModelLimits:0:Model", "small-model"), (key, "00:00:05"), ("Inference:Breaker:Window", "01:00:00"));

        for (var i = 0; i < 10; i++)
            (await pair.AskAsync(ask)).AssertWhole();

        await ProxyHost.UntilAsync(async () => (await pair.BreakerAsync()).GetProperty("samples").GetInt32() == 10);
        Assert.Equal(opens ? 10 : 0, (await pair.BreakerAsync()).GetProperty("slow").GetInt32());
        Assert.Equal(opens ? "open" : "closed", await pair.StateAsync());
    }

    [Theory]
    [InlineData("400")]
    [InlineData("404")]
    [InlineData("client's error as event")]
    [InlineData("client leaves")]
    public async Task ClientsOwnFault_Always_CountsForNothing(string fault)
    {
        using var leave = new CancellationTokenSource();
        await using var pair = await FaultyPair.StartAsync(async context =>
        {
            if (fault == "client leaves")
            {
                await leave.CancelAsync();
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
            }

            await FailAsync(context, fault);
        }, alone: true);

        for (var i = 0; i < 4; i++)
        {
            try
            {
                using var response = await pair.Proxy.PostAsync(
                    FaultyPair.AskStream, cancel: fault == "client leaves" ? leave.Token : Cancel);
                await response.Content.ReadAsStringAsync(Cancel);
            }
            catch (OperationCanceledException) when (!Cancel.IsCancellationRequested)
            {
                Assert.Equal("client leaves", fault);
            }
        }

        await ProxyHost.UntilAsync(async () => (await pair.Proxy.ReplicaAsync(0)).GetProperty("inFlight").GetInt32() == 0);
        var breaker = await pair.BreakerAsync();
        Assert.Equal("closed", breaker.GetProperty("state").GetString());
        Assert.Equal(0, breaker.GetProperty("samples").GetInt32());
    }

    private static Task FailAsync(HttpContext context, string fault)
    {
        switch (fault)
        {
            case "reset":
                context.Abort();
                return Task.CompletedTask;
            case "empty stream":
                context.Response.ContentType = "text/event-stream";
                return Task.CompletedTask;
            case "error first":
                return FakeReplica.EventAsync(context, """{"error":{"message":"m","type":"t","param":null,"code":500}}""");
            case "client's error as event":
                return FakeReplica.EventAsync(context, """{"error":{"message":"m","type":"t","param":null,"code":400}}""");
            case "malformed first":
                return FakeReplica.EventAsync(context, "{\"choices\":[");
            case "cut after the role":
                return FakeReplica.EventAsync(
                    context, """{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}""");
            case "429":
                context.Response.Headers.RetryAfter = "7";
                goto default;
            default:
                context.Response.StatusCode = int.Parse(fault, CultureInfo.InvariantCulture);
                return context.Response.WriteAsync("the server's own words", context.RequestAborted);
        }
    }
}
