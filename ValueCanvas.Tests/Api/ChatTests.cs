using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;
using ValueCanvas.Core.Inference;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Api;

public sealed class ChatTests : IClassFixture<FakedApi>
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private readonly FakeInference _inference;
    private readonly ApiHost _api;

    public ChatTests(FakedApi faked)
    {
        faked.Begin();
        (_inference, _api) = (faked.Inference, faked.Host);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/api/llm/chat")]
    [InlineData("/generate")]
    public async Task Chat_SeedsBody_AnswersTheEnvelope(string path)
    {
        _inference.Answer = context =>
        {
            context.Response.Headers[InferenceClient.ProviderHeader] = "vllm";
            return FakeInference.Text(context, 200, FakeInference.Completion("Hello."));
        };

        using var response = await _api.PostAsync(path, """{"prompt": "Test", "model": "meta-llama/Llama-3-70b-chat-hf"}""");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var body = await ApiHost.JsonAsync(response);
        Assert.Equal(["success", "data"], body.EnumerateObject().Select(property => property.Name));
        Assert.True(body.GetProperty("success").GetBoolean());
        var data = body.GetProperty("data");
        Assert.Equal("Hello.", data.GetProperty("response").GetString());
        Assert.Equal("fake-model", data.GetProperty("model").GetString());
        Assert.Equal("vllm", data.GetProperty("provider").GetString());
        Assert.False(data.GetProperty("cached").GetBoolean());
        Assert.Equal(JsonValueKind.Null, data.GetProperty("cost").ValueKind);
        Assert.Equal("""{"inputTokens":7,"outputTokens":3,"totalTokens":10}""", data.GetProperty("usage").GetRawText());
        Assert.True(data.GetProperty("latencyMs").GetDouble() > 0);
        Assert.False(string.IsNullOrEmpty(data.GetProperty("requestId").GetString()));
        Assert.Equal("meta-llama/Llama-3-70b-chat-hf", Assert.Single(_inference.Seen).Json.GetProperty("model").GetString());
    }

    [Fact]
    public async Task Chat_AllFields_ReachTheModel()
    {
        using var response = await _api.PostAsync(
            "/api/llm/chat",
            """
            {"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes?"},{"role":"user","content":"Go"}],
            "system":"Be brief.","temperature":0,"maxTokens":9,"riskLevel":"low","userId":"u-1","stream":false}
            """);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var headers = Assert.Single(_inference.Seen).Headers;
        Assert.Equal("low", headers["x-valuecanvas-risk"]);
        Assert.Equal(ValueCanvas.Core.Database.Tenants.Development.ToString(), headers["x-valuecanvas-tenant"]);
        var sent = Assert.Single(_inference.Seen).Json;
        Assert.Equal(["system", "user", "assistant", "user"], sent.GetProperty("messages").EnumerateArray()
            .Select(m => m.GetProperty("role").GetString()));
        Assert.Equal(("default", 0d, 9, "u-1"), (
            sent.GetProperty("model").GetString(), sent.GetProperty("temperature").GetDouble(), sent.GetProperty("max_tokens").GetInt32(),
            sent.GetProperty("user").GetString()));
    }

    [Fact]
    public async Task ChatStream_FirstDelta_ArrivesBeforeTheModelFinishes()
    {
        var goOn = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            await FakeInference.Event(context, FakeInference.Chunk("Hel"));
            await goOn.Task.WaitAsync(context.RequestAborted);
            await FakeInference.Stream(context, "lo.");
        };

        using var response = await StreamAsync();
        await using var events = await EventsAsync(response);

        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(("message", """{"delta":"Hel"}"""), await NextAsync(events));
        goOn.SetResult();
        Assert.Equal(("message", """{"delta":"lo."}"""), await NextAsync(events));
        var (name, done) = await NextAsync(events);
        Assert.Equal("done", name);
        var data = JsonDocument.Parse(done).RootElement;
        Assert.Equal("Hello.", data.GetProperty("response").GetString());
        Assert.Equal("""{"inputTokens":7,"outputTokens":2,"totalTokens":9}""", data.GetProperty("usage").GetRawText());
        Assert.False(await events.MoveNextAsync());
    }

    [Fact]
    public async Task ChatStream_BreaksOff_EndsWithAnErrorEvent()
    {
        var cut = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            await FakeInference.Event(context, FakeInference.Chunk("Hel"));
            await cut.Task.WaitAsync(context.RequestAborted);
            context.Abort();
        };

        using var response = await StreamAsync();
        await using var events = await EventsAsync(response);

        Assert.Equal(("message", """{"delta":"Hel"}"""), await NextAsync(events));
        cut.SetResult();
        var (name, problem) = await NextAsync(events);
        Assert.Equal("error", name);
        Assert.Equal(503, JsonDocument.Parse(problem).RootElement.GetProperty("status").GetInt32());
        Assert.False(await events.MoveNextAsync());
    }

    [Fact]
    public async Task ChatStream_GoesQuiet_EndsWithAnErrorEvent()
    {
        _inference.Answer = async context =>
        {
            await FakeInference.Event(context, FakeInference.Chunk("Hel"));
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
        };

        await using var impatient = new ApiHost(_inference.Address, settings: ("Inference:Client:IdleTimeout", "00:00:01"));
        using var response = await StreamAsync(impatient);
        await using var events = await EventsAsync(response);

        // On a machine that stands still the silence may come before the text.
        var (name, problem) = await NextAsync(events);
        if (name == "message")
            (name, problem) = await NextAsync(events);
        Assert.Equal("error", name);
        Assert.Equal(504, JsonDocument.Parse(problem).RootElement.GetProperty("status").GetInt32());
    }

    [Fact]
    public async Task ChatStream_RefusedBeforeTheFirstDelta_HasAStatus()
    {
        _inference.Answer = context => FakeInference.Error(
            context, 404, "The model 'x' does not exist. Available: fake-model.", "model_not_found");

        using var response = await StreamAsync();

        var problem = await ApiHost.ProblemAsync(response, 404);
        Assert.Contains("Available: fake-model", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ChatStream_ClientLeaves_StopsTheModel()
    {
        var aborted = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            context.RequestAborted.Register(() => aborted.TrySetResult());
            await FakeInference.Event(context, FakeInference.Chunk("Hel"));
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
        };

        var response = await StreamAsync();
        await NextAsync(await EventsAsync(response));
        response.Dispose();

        await aborted.Task.WaitAsync(Bound, Cancellation);
    }

    [Theory]
    [InlineData(400, null, 400)]
    [InlineData(404, "model_not_found", 404)]
    [InlineData(429, null, 429)]
    [InlineData(500, null, 503)]
    [InlineData(503, null, 503)]
    [InlineData(504, null, 504)]
    public async Task Chat_ProxyRefuses_IsMappedAndNever500(int upstream, string? code, int status)
    {
        _inference.Answer = context =>
        {
            context.Response.Headers.RetryAfter = "9";
            return FakeInference.Error(context, upstream, "said the proxy", code);
        };

        using var response = await _api.PostAsync("/api/llm/chat", """{"prompt":"a"}""");

        await ApiHost.ProblemAsync(response, status);
        Assert.Equal(status is 400 or 404 ? null : TimeSpan.FromSeconds(9), response.Headers.RetryAfter?.Delta);
    }

    [Fact]
    public async Task Chat_ProxyDown_Is503WithRetryAfter()
    {
        await using var alone = new ApiHost();

        using var response = await alone.PostAsync("/api/llm/chat", """{"prompt":"a"}""");

        await ApiHost.ProblemAsync(response, 503);
        Assert.NotNull(response.Headers.RetryAfter?.Delta);
    }

    [Fact]
    public async Task Chat_UnreadableAnswer_Is502()
    {
        _inference.Answer = context => FakeInference.Text(context, 200, "<html>");

        using var response = await _api.PostAsync("/api/llm/chat", """{"prompt":"a"}""");

        await ApiHost.ProblemAsync(response, 502);
    }

    private async Task<HttpResponseMessage> StreamAsync(ApiHost? api = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/llm/chat")
        {
            Content = new StringContent("""{"prompt":"Hi","stream":true}""", System.Text.Encoding.UTF8, "application/json"),
        };
        return await (api ?? _api).Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation)
            .WaitAsync(Bound, Cancellation);
    }

    private static async Task<IAsyncEnumerator<SseItem<string>>> EventsAsync(HttpResponseMessage response) =>
        SseParser.Create(await response.Content.ReadAsStreamAsync(Cancellation)).EnumerateAsync(Cancellation)
            .GetAsyncEnumerator(Cancellation);

    private static async Task<(string Name, string Data)> NextAsync(IAsyncEnumerator<SseItem<string>> events)
    {
        Assert.True(await events.MoveNextAsync().AsTask().WaitAsync(Bound, Cancellation), "The stream has ended.");
        return (events.Current.EventType, events.Current.Data);
    }
}
