using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy.Resuming;

/// <summary>
/// A broken stream where something else is in the way as well: each server says what the test has written for it, in turn.
/// </summary>
public sealed class ResumeEdgeTests
{
    private const string Key = "an-internal-key-of-the-test";
    private const string Hi = "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]";

    private static readonly VllmEvents Chat = new(Chat: true);
    private static readonly VllmEvents Completion = new(Chat: false);
    private static readonly string Begin = Chat.Role([7, 8, 9]) + Chat.Text(" w0", [10]);
    private static readonly string End = Completion.Text(" w1", [11]) + Completion.Text("", [2], "stop") + Completion.Bill(
        4, 2) + VllmEvents.Done;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CharacterOfSeveralTokens_HeldBackAtTheCut_IsAskedForAgain()
    {
        await using var servers = await Servers.StartAsync(
            // The second token is the first half of a character: there is no text to it yet, and nothing reaches the client.
            Broken(Begin + """data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":null,"token_ids":[11]}]}"""
                + "\n\n"),
            Whole(Completion.Text("", [11]) + Completion.Text("\u00e9", [12]) + Completion.Text("", [2], "stop") + Completion.Bill(
                4, 3) + VllmEvents.Done));

        var read = await servers.AskAsync(
            $$"""{"model":"small-model","stream":true,"stream_options":{"include_usage":true},"max_tokens":9,{{Hi}}}""");

        Assert.Equal((" w0\u00e9", "stop", (3, 4)), (read.Text, read.FinishReason, read.Usage));
        var resumed = servers.Asked(1);
        Assert.Equal("[7,8,9,10]", resumed.GetProperty("prompt").GetRawText());
        Assert.Equal(8, resumed.GetProperty("max_tokens").GetInt32());
    }

    [Theory]
    [InlineData("/v1/chat/completions", "max_tokens", true)]
    [InlineData("/v1/chat/completions", "max_completion_tokens", true)]
    [InlineData("/v1/chat/completions", "max_tokens", false)]
    [InlineData("/v1/completions", "max_tokens", true)]
    public async Task MaxTokens_UsedUpAtTheCut_EndsWithLength_AndNobodyIsAsked(string path, string field, bool ids)
    {
        var events = new VllmEvents(path == "/v1/chat/completions");
        var role = events.Chat ? events.Role(ids ? [7, 8, 9] : null, VllmEvents.Usage(3, 0)) : "";
        await using var servers = await Servers.StartAsync(
            Broken(role + events.Text(" w0", ids ? [10] : null) + events.Text(" w1", ids ? [11] : null)), Whole(End));

        var read = await servers.AskAsync(
            $$"""{"model":"small-model","stream":true,"stream_options":{"include_usage":true},"{{field}}":2,{{Hi}},"prompt":"Hi"}""", path);

        Assert.Equal((" w0 w1", "length", (3, 2), 1), (read.Text, read.FinishReason, read.Usage, read.Dones));
        Assert.Equal(1, servers.Count);
    }

    [Fact]
    public async Task TotalTime_PassesWhileResuming_EndsInAnErrorEvent_AndNotLater()
    {
        var clock = new SteppedClock();
        await using var servers = await Servers.StartAsync(
            clock, [("Inference:StreamTimeout", "00:00:05"), ("Inference:ProbeInterval", "12:00:00")],
            Broken(Begin), context => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted));

        var asking = servers.AskAsync($$"""{"model":"small-model","stream":true,{{Hi}}}""");
        await ProxyHost.UntilAsync(() => Task.FromResult(servers.Count == 2));
        clock.Advance(TimeSpan.FromSeconds(4));
        Assert.False(asking.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(2)); // and not the 20 s to a status line

        var read = await asking.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal((" w0", 0), (read.Text, read.Dones));
        Assert.Contains("\"stream_interrupted\"", read.Raw);
    }

    [Fact]
    public async Task Deadline_PassedAtTheCut_EndsInAnErrorEvent_AndNobodyIsAsked()
    {
        var clock = new SteppedClock();
        var late = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var servers = await Servers.StartAsync(clock, [("Inference:InternalKey", Key), ("Inference:ProbeInterval", "12:00:00")],
            async context =>
            {
                context.Response.ContentType = "text/event-stream";
                await context.Response.WriteAsync(Begin, context.RequestAborted);
                await late.Task.WaitAsync(context.RequestAborted);
                context.Abort();
            },
            Whole(End));

        var asking = servers.AskAsync($$"""{"model":"small-model","stream":true,{{Hi}}}""", headers:
            [("x-valuecanvas-internal", Key), ("x-valuecanvas-deadline", clock.GetUtcNow().AddSeconds(10).ToString("O"))]);
        await servers.Begun.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        clock.Advance(TimeSpan.FromSeconds(11));
        late.SetResult();

        Assert.Contains("\"stream_interrupted\"", (await asking).Raw);
        Assert.Equal(1, servers.Count);
    }

    [Fact]
    public async Task ErrorEvent_ThatIsHeld_IsNotSeenWhereTheStreamGoesOn()
    {
        await using var servers = await Servers.StartAsync(Whole(Begin + Error), Whole(End));

        var read = await servers.AskAsync($$"""{"model":"small-model","stream":true,{{Hi}}}""");

        Assert.Equal((" w0 w1", "stop", 1), (read.Text, read.FinishReason, read.Dones));
        Assert.DoesNotContain("the engine died", read.Raw);
    }

    [Theory]
    [InlineData(500)]
    [InlineData(400)]
    public async Task ErrorEvent_ThatIsHeld_EndsTheStreamWhereNobodyGoesOn(int status)
    {
        await using var servers = await Servers.StartAsync(Whole(Begin + Error), context =>
        {
            context.Response.StatusCode = status;
            return context.Response.WriteAsync("""{"error":{"message":"not from me"}}""", context.RequestAborted);
        });

        var read = await servers.AskAsync($$"""{"model":"small-model","stream":true,{{Hi}}}""");

        Assert.Equal((" w0", 0), (read.Text, read.Dones));
        Assert.EndsWith(Error, read.Raw, StringComparison.Ordinal);
        Assert.DoesNotContain("stream_interrupted", read.Raw);
        Assert.DoesNotContain("not from me", read.Raw);
    }

    [Fact]
    public async Task Stream_ThatGoesOn_IsSeenInMetricSpanAndLog()
    {
        var log = new LogQueue();
        await using var servers = await Servers.StartAsync(services => services.AddSingleton<ILoggerProvider>(log),
            [("LOG_LEVEL", "Information")], Broken(Begin), Whole(End));
        var trace = ActivityTraceId.CreateRandom();
        var (spans, measured) = (new ConcurrentQueue<Activity>(),
            new ConcurrentQueue<(string Name, double Value, Dictionary<string, object?> Tags)>());
        using var listener = SignalTests.Listen("ValueCanvas.InferenceProxy", trace, spans);
        using var meters = SignalTests.Listen(servers.Proxy, measured);

        await servers.AskAsync($$"""{"model":"small-model","stream":true,"max_tokens":9,{{Hi}}}""",
            headers: [("traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom()}-01")]);
        await ProxyHost.UntilAsync(() => Task.FromResult(spans.Count == 2));

        var resume = Assert.Single(measured, m => m.Name == "valuecanvas.inference.resumes");
        Assert.Equal(("token", "whole"), (resume.Tags["mode"], resume.Tags["outcome"]));
        Assert.Equal("cut", spans.Single(span => !span.Events.Any()).GetTagItem("error.type"));
        var seam = Assert.Single(spans.SelectMany(span => span.Events), e => e.Name == "stream.resumed");
        Assert.Equal(("token", 1), (seam.Tags.Single(t => t.Key == "mode").Value, seam.Tags.Single(t => t.Key == "tokens").Value));
        Assert.Contains(log.Lines, line => line.StartsWith("A broken stream goes on at ", StringComparison.Ordinal)
            && line.EndsWith("(token) after 1 tokens", StringComparison.Ordinal));
        Assert.DoesNotContain(log.Lines, line => line.Contains(" w0", StringComparison.Ordinal));
    }

    [Fact]
    public async Task BufferedBytes_AreSpent_TheStreamGoesOnWithoutBeingKept_AndAllIsGivenBack()
    {
        const int all = 256 * 1024 * 1024;
        var ask = $$"""{"model":"small-model","stream":true,"max_tokens":9,{{Hi}}}""";
        await using var servers = await Servers.StartAsync(Broken(Begin), Broken(Begin), Whole(End));
        var budget = servers.Proxy.Services.GetRequiredService<BodyBudget>();
        Assert.True(budget.TryTake(all));

        var broken = await servers.AskAsync(ask);
        budget.Give(all);
        var whole = await servers.AskAsync(ask);

        Assert.Equal((" w0", 0), (broken.Text, broken.Dones));
        Assert.Contains("\"stream_interrupted\"", broken.Raw);
        Assert.Equal((" w0 w1", 1), (whole.Text, whole.Dones));
        await ProxyHost.UntilAsync(() => Task.FromResult(budget.HasRoom(all)));
    }

    [Fact]
    public async Task CacheSalt_OfTheTenant_StandsInTheResumedRequest()
    {
        await using var servers = await Servers.StartAsync(
            TimeProvider.System, [("Inference:InternalKey", Key)], Broken(Begin), Whole(End));

        await servers.AskAsync($$"""{"model":"small-model","stream":true,{{Hi}}}""",
            headers: [("x-valuecanvas-internal", Key), ("x-valuecanvas-tenant", "acme")]);

        Assert.Matches("^[0-9a-f]{32}$", servers.Asked(0).GetProperty("cache_salt").GetString());
        Assert.Equal(servers.Asked(0).GetProperty("cache_salt").GetString(), servers.Asked(1).GetProperty("cache_salt").GetString());
    }

    [Fact]
    public async Task MessagesStream_ThatBreaks_IsOneMessage()
    {
        await using var servers = await Servers.StartAsync(Broken(Begin), Whole(End));

        var read = await servers.ReadAsync($$"""{"model":"small-model","max_tokens":9,"stream":true,{{Hi}}}""", "/v1/messages");

        var events = read.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal))
            .Select(line => line["data: ".Length..])
            .Select(data => JsonDocument.Parse(data).RootElement).ToArray();
        string[] types = ["message_start", "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
            "message_delta", "message_stop"];
        Assert.Equal(types, events.Select(e => e.GetProperty("type").GetString()).Where(type => type != "ping"));
        Assert.Equal(" w0 w1", string.Concat(
            events.Where(e => e.TryGetProperty("delta", out var delta) && delta.TryGetProperty("text", out _))
            .Select(e => e.GetProperty("delta").GetProperty("text").GetString())));
        var last = events.Single(e => e.GetProperty("type").GetString() == "message_delta");
        Assert.Equal(("end_turn", 3, 3), (last.GetProperty("delta").GetProperty("stop_reason").GetString(),
            last.GetProperty("usage").GetProperty("input_tokens").GetInt32(), last.GetProperty("usage")
                .GetProperty("output_tokens").GetInt32()));
    }

    [Fact]
    public async Task MessagesStream_ThatNobodyGoesOnWith_EndsInAnErrorEventOfItsOwnShape()
    {
        await using var servers = await Servers.StartAsync(Broken(Begin), Broken(""));

        var read = await servers.ReadAsync($$"""{"model":"small-model","max_tokens":9,"stream":true,{{Hi}}}""", "/v1/messages");

        Assert.Contains("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\"", read);
        Assert.DoesNotContain("message_stop", read);
    }

    [Fact]
    public async Task RunningUsage_OfABreakAndAnother_CountsThePromptOnce_ThoughTheFirstServerDidNotTellIt()
    {
        await using var servers = await Servers.StartAsync(
            Broken(Completion.Text(" w0") + Completion.Text(" w1")),
            Broken(Completion.Text(" w2", usage: VllmEvents.Usage(5, 1))),
            Whole(Completion.Text(" w3", usage: VllmEvents.Usage(6, 1)) + Completion.Text("", null, "stop", VllmEvents.Usage(6, 2))
                + Completion.Bill(6, 2) + VllmEvents.Done));

        var read = await servers.AskAsync(
            """{"model":"small-model","stream":true,"prompt":"Hi","max_tokens":9"""
            + ""","stream_options":{"include_usage":true,"continuous_usage_stats":true}}""",
            "/v1/completions");

        Assert.Equal((" w0 w1 w2 w3", (3, 5)), (read.Text, read.Usage));
        var told = read.Raw.Split('\n').Where(line => line.Contains("\"usage\":{", StringComparison.Ordinal)).ToArray();
        Assert.Equal(4, told.Length);
        Assert.All(told, line => Assert.Contains("\"prompt_tokens\":3,", line));
        Assert.Equal(6, servers.Asked(2).GetProperty("max_tokens").GetInt32());
    }

    private static string Error => "data: {\"error\":{\"message\":\"the engine died\",\"type\":\"InternalServerError\",\"code\":500}}\n\n";

    private static RequestDelegate Broken(string events) => context => VllmEvents.SendAsync(context, events, breaks: true);

    private static RequestDelegate Whole(string events) => context => VllmEvents.SendAsync(context, events);

    /// <summary>As many servers as there are answers, behind one proxy; whichever is asked gives the next answer.</summary>
    private sealed class Servers : IAsyncDisposable
    {
        private readonly List<FakeReplica> _replicas = [];
        private readonly ConcurrentQueue<JsonElement> _asked = new();
        private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _count;

        public ProxyHost Proxy { get; private set; } = null!;

        /// <summary>Somebody has got the head of an answer, and so something of its content is on the way.</summary>
        public Task Begun => _begun.Task;

        public int Count => Volatile.Read(ref _count);

        public static Task<Servers> StartAsync(params RequestDelegate[] answers) => StartAsync(
            (Action<IServiceCollection>?)null, [], answers);

        public static Task<Servers> StartAsync(TimeProvider time, (string, string)[] settings, params RequestDelegate[] answers) =>
            StartAsync(services => services.AddSingleton(time), settings, answers);

        public static async Task<Servers> StartAsync(
            Action<IServiceCollection>? services, (string, string)[] settings, params RequestDelegate[] answers)
        {
            var servers = new Servers();
            foreach (var _ in answers)
            {
                servers._replicas.Add(await FakeReplica.StartAsync(context =>
                {
                    servers._asked.Enqueue(VllmEvents.Asked(context));
                    return answers[Interlocked.Increment(ref servers._count) - 1](context);
                }));
            }

            servers.Proxy = ProxyHost.Start(services ?? (_ => { }), servers._replicas.Select(replica => replica.Address), settings);
            return servers;
        }

        /// <summary>The body of a request, in the order in which they came.</summary>
        public JsonElement Asked(int number) => _asked.ElementAt(number);

        public async Task<ReadStream> AskAsync(string body, string path = "/v1/chat/completions", (string, string)[]? headers = null) =>
            ReadStream.Of(await ReadAsync(body, path, headers));

        public async Task<string> ReadAsync(string body, string path, (string Name, string Value)[]? headers = null)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body) };
            foreach (var (name, value) in headers ?? [])
                request.Headers.Add(name, value);

            using var response = await Proxy.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
            _begun.TrySetResult();
            return await response.Content.ReadAsStringAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        }

        public async ValueTask DisposeAsync()
        {
            await Proxy.DisposeAsync();
            foreach (var replica in _replicas)
                await replica.DisposeAsync();
        }
    }
}
