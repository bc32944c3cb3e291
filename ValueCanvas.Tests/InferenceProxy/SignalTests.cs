using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
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

        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent("""{"model":"default","stream":true}"""),
        };
        request.Headers.Add("traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom()}-01");
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
        {
            await response.Content.ReadAsStringAsync(Cancel);
        }

        using (await proxy.PostAsync("""{"model":"secret-model"}"""))
        {
            await ProxyHost.UntilAsync(() => Task.FromResult(measured.Any(m => m.Name == "gen_ai.server.request.duration")));
        }

        var first = Assert.Single(measured, m => m.Name == "gen_ai.server.time_to_first_token");
        Assert.Equal("small-model", first.Tags["gen_ai.request.model"]);
        Assert.True(first.Value > 0);
        Assert.DoesNotContain("secret", string.Join(' ', measured.SelectMany(m => m.Tags.Values)));
    }

    [Fact]
    public async Task Stream_Broken_TheServersSpanIsAnError()
    {
        await using var replica = await FakeReplica.StartAsync(context => FakeReplica.EventAsync(context, "{}"));
        await using var proxy = ProxyHost.Start(replica);
        var trace = ActivityTraceId.CreateRandom();
        var spans = new ConcurrentQueue<Activity>();
        using var listener = Listen("Microsoft.AspNetCore", trace, spans);

        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent("""{"model":"default","stream":true}"""),
        };
        request.Headers.Add("traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom()}-01");
        using var response = await proxy.Client.SendAsync(request, Cancel);

        // The replica, in the same process, has one in this trace, too.
        await ProxyHost.UntilAsync(() => Task.FromResult(spans.Any(span => span.Status == ActivityStatusCode.Error)));
    }

    private static ActivityListener Listen(string source, ActivityTraceId trace, ConcurrentQueue<Activity> into)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = candidate => candidate.Name == source,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                if (activity.TraceId == trace)
                {
                    into.Enqueue(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    /// <summary>Collects what this proxy measures; others in the same process have meters of the same name.</summary>
    private static MeterListener Listen(ProxyHost proxy, ConcurrentQueue<(string, double, Dictionary<string, object?>)> into)
    {
        var own = proxy.Services.GetRequiredService<IMeterFactory>();
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == "ValueCanvas.InferenceProxy" && ReferenceEquals(instrument.Meter.Scope, own))
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
