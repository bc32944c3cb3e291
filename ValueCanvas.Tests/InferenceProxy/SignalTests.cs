using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class SignalTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Attempt_Each_HasASpanThatTheReplicaSeesAsParent()
    {
        var dead = DeadAddress.Take();
        await using var replica = await FakeReplica.StartAsync(FakeReplica.StreamAsync);
        await using var proxy = ProxyHost.Start([dead, replica.Address], ("Inference:ProbeInterval", "00:10:00"));
        var trace = ActivityTraceId.CreateRandom();
        var spans = new ConcurrentQueue<Activity>();
        using var listener = Listen("ValueCanvas.InferenceProxy", trace, spans);

        using var request = Ask("""{"model":"default","stream":true}""", trace);
        using var response = await proxy.Client.SendAsync(request, Cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await ProxyHost.UntilAsync(() => Task.FromResult(!spans.IsEmpty));

        var span = Assert.Single(spans);
        Assert.Equal("chat small-model", span.DisplayName);
        Assert.Equal(ActivityKind.Client, span.Kind);
        Assert.Equal("chat", span.GetTagItem("gen_ai.operation.name"));
        Assert.Equal("small-model", span.GetTagItem("gen_ai.request.model"));
        Assert.Equal("vllm", span.GetTagItem("gen_ai.provider.name"));
        Assert.Equal("127.0.0.1", span.GetTagItem("server.address"));
        Assert.Equal(new Uri(replica.Address).Port, span.GetTagItem("server.port"));
        Assert.Equal(200, span.GetTagItem("http.response.status_code"));
        Assert.True((double)span.GetTagItem("gen_ai.response.time_to_first_chunk")! > 0);
        Assert.Contains(span.SpanId.ToString(), Assert.Single(replica.Received).Headers["traceparent"]);
    }

    [Fact]
    public async Task Attempt_Fails_SpanSaysWhyAndTheCounterCounts()
    {
        await using var broken = await FakeReplica.StartAsync(context =>
        {
            context.Abort();
            return Task.CompletedTask;
        });
        await using var proxy = ProxyHost.Start(broken);
        var measured = new ConcurrentQueue<(string Name, double Value, Dictionary<string, object?> Tags)>();
        using var listener = Listen(proxy, measured);

        using var response = await proxy.PostAsync("""{"model":"default"}""");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        var target = new Uri(broken.Address).Authority;
        var duration = Assert.Single(measured, m => m.Name == "gen_ai.client.operation.duration");
        Assert.Equal(("reset", "small-model"), (duration.Tags["error.type"], duration.Tags["gen_ai.request.model"]));
        var failure = Assert.Single(measured, m => m.Name == "valuecanvas.inference.failures");
        Assert.Equal("reset", failure.Tags["cause"]);
        Assert.Equal(target, failure.Tags["valuecanvas.target"]);
        Assert.Equal(0, measured.Where(m => m.Name == "valuecanvas.inference.in_flight").Sum(m => m.Value));
    }

    [Fact]
    public async Task Stream_Answered_IsMeasuredWithoutFreeText()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.StreamAsync);
        await using var proxy = ProxyHost.Start(replica);
        var measured = new ConcurrentQueue<(string Name, double Value, Dictionary<string, object?> Tags)>();
        using var listener = Listen(proxy, measured);

        using (var response = await proxy.PostAsync("""{"model":"default","stream":true,"user":"secret-user"}"""))
            await response.Content.ReadAsStringAsync(Cancel);

        using (await proxy.PostAsync("""{"model":"secret-model"}"""))
            await ProxyHost.UntilAsync(() => Task.FromResult(measured.Any(m => m.Name == "gen_ai.server.request.duration")));

        var first = Assert.Single(measured, m => m.Name == "gen_ai.server.time_to_first_token");
        Assert.Equal("small-model", first.Tags["gen_ai.request.model"]);
        Assert.True(first.Value > 0);
        Assert.DoesNotContain("secret", string.Join(' ', measured.SelectMany(m => m.Tags.Values)));
    }

    [Fact]
    public async Task Stream_WithUsage_TellsTokensAndTheirPace()
    {
        using var heard = new SemaphoreSlim(0);
        await using var replica = await FakeReplica.StartAsync(context => StreamWithUsageAsync(context, heard));
        await using var proxy = ProxyHost.Start(replica);
        var measured = new ConcurrentQueue<(string Name, double Value, Dictionary<string, object?> Tags)>();
        using var listener = Listen(proxy, measured);
        var trace = ActivityTraceId.CreateRandom();
        var spans = new ConcurrentQueue<Activity>();
        using var activities = Listen("ValueCanvas.InferenceProxy", trace, spans);

        using var request = Ask("""{"model":"default","stream":true}""", trace);
        using (var response = await proxy.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel))
        {
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Cancel));
            while (await reader.ReadLineAsync(Cancel) is { } line)
            {
                if (line.Contains("\"content\":\"a\"", StringComparison.Ordinal))
                    heard.Release();
            }
        }

        await ProxyHost.UntilAsync(() => Task.FromResult(!spans.IsEmpty));
        var usage = measured.Where(m => m.Name == "gen_ai.client.token.usage").ToDictionary(m => (string)m.Tags["gen_ai.token.type"]!);
        Assert.Equal((70, 3), (usage["input"].Value, usage["output"].Value));
        Assert.Equal(["chat", "small-model", "vllm"], Labels(usage["input"].Tags));
        var duration = Assert.Single(measured, m => m.Name == "gen_ai.client.operation.duration");
        var perToken = Assert.Single(measured, m => m.Name == "gen_ai.server.time_per_output_token");
        Assert.Equal(["chat", "small-model", "vllm"], Labels(perToken.Tags));
        // At least 60 ms for the two tokens behind the first; the end of both is not measured at the same instant.
        Assert.InRange(perToken.Value, 0.025, (duration.Value / 2) + 0.001);
        var gaps = measured.Where(m => m.Name == "gen_ai.client.operation.time_per_output_chunk").ToArray();
        // Pieces that arrive together, as those behind the tokens may, are one chunk.
        Assert.InRange(gaps.Length, 2, 5);
        Assert.InRange(gaps.Max(gap => gap.Value), 0.025, duration.Value);
        Assert.All(gaps, gap => Assert.Equal(["chat", "small-model", "vllm"], Labels(gap.Tags)));

        var span = Assert.Single(spans);
        Assert.Equal("small-model-v2", span.GetTagItem("gen_ai.response.model"));
        Assert.Equal(["length"], (string[])span.GetTagItem("gen_ai.response.finish_reasons")!);
        Assert.Equal((70, 3, 64), (span.GetTagItem("gen_ai.usage.input_tokens"), span.GetTagItem("gen_ai.usage.output_tokens"),
            span.GetTagItem("gen_ai.usage.cache_read.input_tokens")));

        static string[] Labels(Dictionary<string, object?> tags) =>
            [(string)tags["gen_ai.operation.name"]!, (string)tags["gen_ai.request.model"]!, (string)tags["gen_ai.provider.name"]!];
    }

    [Fact]
    public async Task Answer_Plain_TellsModelReasonsAndUsage()
    {
        await using var replica = await FakeReplica.StartAsync(context => context.Response.WriteAsync(
            """{"id":"x","model":"small-model-v2","choices":[{"index":0,"message":{"content":"\"model\":\"no\""},"finish_reason":"stop"},"""
            + """{"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"""
            + """ "completion_tokens_details":{"reasoning_tokens":2}}}""",
            context.RequestAborted));
        await using var proxy = ProxyHost.Start(replica);
        var trace = ActivityTraceId.CreateRandom();
        var spans = new ConcurrentQueue<Activity>();
        using var listener = Listen("ValueCanvas.InferenceProxy", trace, spans);

        using var request = Ask("""{"model":"default"}""", trace);
        using var response = await proxy.Client.SendAsync(request, Cancel);
        await ProxyHost.UntilAsync(() => Task.FromResult(!spans.IsEmpty));

        var span = Assert.Single(spans);
        Assert.Equal("small-model-v2", span.GetTagItem("gen_ai.response.model"));
        Assert.Equal(["stop", "tool_calls"], (string[])span.GetTagItem("gen_ai.response.finish_reasons")!);
        Assert.Equal((9, 4, 2, null), (span.GetTagItem("gen_ai.usage.input_tokens"), span.GetTagItem("gen_ai.usage.output_tokens"),
            span.GetTagItem("gen_ai.usage.reasoning.output_tokens"), span.GetTagItem("gen_ai.usage.cache_read.input_tokens")));
    }

    [Fact]
    public async Task CachedTokens_AsRouted_AndAsTheServerSays_AreCounted()
    {
        await using var one = await FakeReplica.StartAsync(context => StreamWithUsageAsync(context));
        await using var two = await FakeReplica.StartAsync(context => StreamWithUsageAsync(context));
        await using var proxy = ProxyHost.Start([one.Address, two.Address]);
        var measured = new ConcurrentQueue<(string Name, double Value, Dictionary<string, object?> Tags)>();
        using var listener = Listen(proxy, measured);
        var body = $$"""{"model":"default","stream":true,"messages":[{"role":"user","content":"{{new string('x', 5_000)}}"}]}""";

        for (var i = 0; i < 2; i++)
        {
            using var response = await proxy.PostAsync(body);
            await response.Content.ReadAsStringAsync(Cancel);
            await ProxyHost.UntilAsync(() => Task.FromResult(Cached("reported").Length == i + 1));
        }

        Assert.Equal([0, 70], Cached("predicted")); // of a prompt of 70 tokens no more than these
        Assert.Equal([64, 64], Cached("reported"));

        double[] Cached(string source) =>
            [.. measured.Where(m => m.Name == "valuecanvas.inference.prefix.cached_tokens" && (string?)m.Tags["source"] == source)
                .Select(m => m.Value)];
    }

    [Fact]
    public async Task Breaker_ThatOpens_IsCountedAndStandsInTheSpan()
    {
        await using var broken = await FakeReplica.StartAsync(context =>
        {
            context.Abort();
            return Task.CompletedTask;
        });
        await using var proxy = ProxyHost.Start(broken, ("Inference:Breaker:ConsecutiveFailures", "1"));
        var measured = new ConcurrentQueue<(string Name, double Value, Dictionary<string, object?> Tags)>();
        using var listener = Listen(proxy, measured);
        var trace = ActivityTraceId.CreateRandom();
        var spans = new ConcurrentQueue<Activity>();
        using var activities = Listen("ValueCanvas.InferenceProxy", trace, spans);

        using var request = Ask("""{"model":"default"}""", trace);
        using var response = await proxy.Client.SendAsync(request, Cancel);

        var moved = Assert.Single(measured, m => m.Name == "valuecanvas.inference.breaker.transitions").Tags;
        Assert.Equal(("closed", "open", "consecutive failures"), (moved["from"], moved["to"], moved["reason"]));
        Assert.Equal(("small-model", new Uri(broken.Address).Authority), (moved["gen_ai.request.model"], moved["valuecanvas.target"]));
        Assert.Equal("breaker.transition", Assert.Single(Assert.Single(spans).Events).Name);
    }

    [Fact]
    public async Task Queue_DepthWaitsAndRefusals_AreMeasured()
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var released = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            reached.TrySetResult();
            await released.Task.WaitAsync(context.RequestAborted);
            await FakeReplica.AnswerAsync(context);
        });
        await using var proxy = ProxyHost.Start(
            replica, ("Inference:Admission:MaxRunningPerReplica", "1"), ("Inference:Admission:MaxWaiting", "1"));
        var measured = new ConcurrentQueue<(string Name, double Value, Dictionary<string, object?> Tags)>();
        using var listener = Listen(proxy, measured);
        var running = proxy.PostAsync("""{"model":"default"}""");
        await reached.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);

        var waiting = proxy.PostAsync("""{"model":"default"}""");
        await ProxyHost.UntilAsync(() =>
        {
            listener.RecordObservableInstruments();
            return Task.FromResult(measured.Last(m => m.Name == "valuecanvas.inference.queue.depth").Value == 1);
        });
        using var refused = await proxy.PostAsync("""{"model":"default"}""");
        released.SetResult();
        foreach (var answer in await Task.WhenAll(running, waiting).WaitAsync(TimeSpan.FromSeconds(30), Cancel))
            answer.Dispose();

        Assert.Equal("full", Assert.Single(measured, m => m.Name == "valuecanvas.inference.queue.refused").Tags["cause"]);
        Assert.True(Assert.Single(measured, m => m.Name == "valuecanvas.inference.queue.wait").Value > 0);
        listener.RecordObservableInstruments();
        Assert.Equal(0, measured.Last(m => m.Name == "valuecanvas.inference.queue.depth").Value);
    }

    [Fact]
    public async Task Stream_Broken_TheServersSpanIsAnError()
    {
        await using var replica = await FakeReplica.StartAsync(context => FakeReplica.EventAsync(context, "{}"));
        await using var proxy = ProxyHost.Start(replica);
        var trace = ActivityTraceId.CreateRandom();
        var spans = new ConcurrentQueue<Activity>();
        using var listener = Listen("Microsoft.AspNetCore", trace, spans);

        using var request = Ask("""{"model":"default","stream":true}""", trace);
        using var response = await proxy.Client.SendAsync(request, Cancel);

        // The replica, in the same process, has one in this trace, too.
        await ProxyHost.UntilAsync(() => Task.FromResult(spans.Any(span => span.Status == ActivityStatusCode.Error)));
    }

    private static HttpRequestMessage Ask(string body, ActivityTraceId trace) => new(HttpMethod.Post, "/v1/chat/completions")
    {
        Content = new StringContent(body),
        Headers = { { "traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom()}-01" } },
    };

    /// <summary>Three tokens, each 30 ms after the one before, or after that was heard, and the bill.</summary>
    private static async Task StreamWithUsageAsync(HttpContext context, SemaphoreSlim? heard = null)
    {
        for (var i = 0; i < 3; i++)
        {
            var reason = i == 2 ? "\"length\"" : "null";
            await FakeReplica.EventAsync(context,
                $$"""{"model":"small-model-v2","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":{{reason}}}]}""");
            if (heard is not null)
                await heard.WaitAsync(context.RequestAborted);
            await Task.Delay(TimeSpan.FromMilliseconds(30), TimeProvider.System, context.RequestAborted);
        }

        await FakeReplica.EventAsync(context,
            """{"choices":[],"usage":{"prompt_tokens":70,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":64}}}""");
        await FakeReplica.EventAsync(context, "[DONE]");
    }

    internal static ActivityListener Listen(string source, ActivityTraceId trace, ConcurrentQueue<Activity> into)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = candidate => candidate.Name == source,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                if (activity.TraceId == trace)
                    into.Enqueue(activity);
            },
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    /// <summary>Collects what this proxy measures; others in the same process have meters of the same name.</summary>
    internal static MeterListener Listen(ProxyHost proxy, ConcurrentQueue<(string, double, Dictionary<string, object?>)> into)
    {
        var own = proxy.Services.GetRequiredService<IMeterFactory>();
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name.StartsWith("ValueCanvas.InferenceProxy", StringComparison.Ordinal)
                    && ReferenceEquals(instrument.Meter.Scope, own))
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Add(instrument, value, tags));
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Add(instrument, value, tags));
        listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Add(instrument, value, tags));
        listener.Start();
        return listener;

        void Add(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
            into.Enqueue((instrument.Name, value, new Dictionary<string, object?>(tags.ToArray())));
    }
}
