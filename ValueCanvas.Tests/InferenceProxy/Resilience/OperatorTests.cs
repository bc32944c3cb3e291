using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;

namespace ValueCanvas.Tests.InferenceProxy.Resilience;

public sealed class OperatorTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Open_ByAnOperator_NothingIsSentThereUntilItIsClosedOrTheTimeIsOver()
    {
        await using var pair = await FaultyPair.StartAsync(FakeReplica.StreamAsync, alone: true);
        await pair.Proxy.OperateAsync($"{Name(pair)}/open");
        var refused = await pair.AskAsync();
        Assert.Equal((503, 0), (refused.Status, refused.Attempts));
        Assert.Equal("forced_open", await pair.StateAsync());

        await pair.Proxy.OperateAsync($"{Name(pair)}/close");
        (await pair.AskAsync()).AssertWhole();

        await pair.Proxy.OperateAsync($"{Name(pair)}/open?duration=00:01:30&model=small-model");
        Assert.Equal(TimeSpan.FromSeconds(90), (await pair.AskAsync()).RetryAfter);
        Assert.Equal(pair.Clock.GetUtcNow().AddSeconds(90), (await pair.BreakerAsync()).GetProperty("openUntil").GetDateTimeOffset());
        pair.Clock.Advance(TimeSpan.FromSeconds(90));
        (await pair.AskAsync()).AssertWhole();
    }

    [Fact]
    public async Task Reset_OfAnOpenBreaker_IsAsNew()
    {
        await using var pair = await FaultyPair.StartAsync(context =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        }, alone: true);
        for (var i = 0; i < 3; i++)
            Assert.Equal(500, (await pair.AskAsync()).Status);

        Assert.Equal("open", await pair.StateAsync());
        await pair.Proxy.OperateAsync($"{Name(pair)}/reset");

        var breaker = await pair.BreakerAsync();
        Assert.Equal("closed", breaker.GetProperty("state").GetString());
        Assert.Equal(0, breaker.GetProperty("samples").GetInt32());
        Assert.Equal(JsonValueKind.Null, breaker.GetProperty("lastFailure").ValueKind);
        Assert.Equal(["reset by operator", "consecutive failures"],
            breaker.GetProperty("transitions").EnumerateArray().Select(t => t.GetProperty("reason").GetString()));
        Assert.Equal(500, (await pair.AskAsync()).Status);
    }

    [Theory]
    [InlineData("nobody/reset", 404, "replica_not_found")]
    [InlineData("{replica}/open?duration=soon", 400, "duration")]
    [InlineData("{replica}/open?duration=-1", 400, "duration")]
    [InlineData("{replica}/open?duration=NaN", 400, "duration")]
    [InlineData("{replica}/open?duration=1e300", 400, "duration")]
    [InlineData("{replica}/open?model=unknown", 404, "model_not_found")]
    public async Task Request_ThatMakesNoSense_IsRefusedAndChangesNothing(string path, int status, string words)
    {
        await using var pair = await FaultyPair.StartAsync(FakeReplica.StreamAsync, alone: true);
        using var response = await pair.Proxy.SendActionAsync(path.Replace("{replica}", Name(pair)), ProxyHost.OperatorKey);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Contains(words, (await response.ErrorAsync()).GetRawText());
        (await pair.AskAsync()).AssertWhole();
    }

    [Fact]
    public async Task Transition_OfABreaker_IsMeasuredAndAnEventOfTheSpan()
    {
        await using var pair = await FaultyPair.StartAsync(context =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        }, alone: true);
        var own = pair.Proxy.Services.GetRequiredService<IMeterFactory>();
        var measured = new ConcurrentQueue<Dictionary<string, object?>>();
        using var meters = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == "valuecanvas.inference.breaker.transitions" && ReferenceEquals(instrument.Meter.Scope, own))
                    listener.EnableMeasurementEvents(instrument);
            },
        };
        meters.SetMeasurementEventCallback<long>((_, _, tags, _) => measured.Enqueue(new Dictionary<string, object?>(tags.ToArray())));
        meters.Start();
        var events = new ConcurrentQueue<ActivityEvent>();
        using var spans = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "ValueCanvas.InferenceProxy",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                if (Name(pair).Equals(activity.GetTagItem("valuecanvas.target")))
                    Assert.All(activity.Events, events.Enqueue);
            },
        };
        ActivitySource.AddActivityListener(spans);

        for (var i = 0; i < 3; i++)
            await pair.AskAsync();

        await ProxyHost.UntilAsync(() => Task.FromResult(!events.IsEmpty));
        Assert.Equal("breaker.transition", Assert.Single(events).Name);
        var tags = Assert.Single(measured);
        Assert.Equal(("closed", "open", "consecutive failures"), (tags["from"], tags["to"], tags["reason"]));
        Assert.Equal((Name(pair), "small-model"), (tags["valuecanvas.target"], tags["gen_ai.request.model"]));
    }

    [Fact]
    public async Task Limits_OfOneModel_HoldForThatModelAlone()
    {
        await using var pair = await FaultyPair.StartAsync(
            async context =>
            {
                await FakeReplica.EventAsync(context, """{"choices":[{"delta":{"content":"x"}}]}""");
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
            },
            alone: true,
            ("Inference:ModelLimits:0:Model", "small-model"), ("Inference:ModelLimits:0:IdleTimeout", "00:00:05"));
        using var response = await pair.Proxy.PostAsync(FaultyPair.AskStream);
        var reading = response.Content.ReadAsStringAsync(Cancel);
        await pair.Clock.AdvanceUntilAsync(TimeSpan.FromSeconds(0.5), () => reading.IsCompleted);

        Assert.Contains("stream_interrupted", await reading);
        Assert.InRange(pair.Clock.GetTimestamp(), TimeSpan.FromSeconds(5).Ticks, TimeSpan.FromSeconds(20).Ticks);
    }

    private static string Name(FaultyPair pair) => new Uri(pair.Primary.Address).Authority;
}
