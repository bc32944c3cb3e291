using System.ClientModel;
using System.Net;
using System.Text;
using OpenAI;
using OpenAI.Chat;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Api;

public sealed class OpenAiTests : IClassFixture<FakedApi>
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    private readonly FakeInference _inference;
    private readonly ApiHost _api;

    public OpenAiTests(FakedApi faked)
    {
        faked.Begin();
        (_inference, _api) = (faked.Inference, faked.Host);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private OpenAIClient OpenAi => new(
        new ApiKeyCredential(ApiHost.Key), new OpenAIClientOptions { Endpoint = new Uri(_api.Address, "/v1") });

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/completions")]
    [InlineData("/v1/embeddings?x=%2F&y=a%20b")]
    public async Task Post_AnyBody_PassesByteForByte(string path)
    {
        // Not even JSON: what a body means is the proxy's business.
        byte[] body = [0, 255, .. "{ \"a\" : 1e400 }"u8];
        byte[] answer = [1, 254, .. "\r\n\0"u8];
        _inference.Answer = async context =>
        {
            context.Response.StatusCode = 418;
            context.Response.ContentType = "application/x-own";
            context.Response.Headers["x-request-id"] = "r-1";
            context.Response.Headers["x-many"] = new(["a", "b"]);
            await context.Response.Body.WriteAsync(answer, context.RequestAborted);
        };

        using var response = await _api.PostAsync(path, body, type: null);

        Assert.Equal(418, (int)response.StatusCode);
        Assert.Equal(answer, await response.Content.ReadAsByteArrayAsync(Cancellation));
        Assert.Equal("application/x-own", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(["r-1"], response.Headers.GetValues("x-request-id"));
        Assert.Equal(["a", "b"], response.Headers.GetValues("x-many"));
        var seen = Assert.Single(_inference.Seen);
        Assert.Equal(("POST", path), (seen.Method, seen.Target));
        Assert.Equal(body, seen.Body);
    }

    [Fact]
    public async Task Get_Models_KeepsPathAndQuery()
    {
        using var list = await _api.GetAsync("/v1/models?limit=2");
        using var one = await _api.GetAsync("/v1/models/meta-llama/Llama-3-70b-chat-hf");

        Assert.Equal(["/v1/models?limit=2", "/v1/models/meta-llama/Llama-3-70b-chat-hf"], _inference.Seen.Select(
            request => request.Target));
    }

    [Fact]
    public async Task Post_Headers_CredentialsAndOwnNamesStayHere()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent("{}") };
        request.Headers.Add("x-api-key", "sk-secret");
        request.Headers.Add("Cookie", "a=b");
        request.Headers.Add("X-ValueCanvas-Priority", "1");
        request.Headers.Add("X-Custom", "kept");
        request.Headers.Add("Connection", "X-Hop");
        request.Headers.Add("X-Hop", "gone");

        using var response = await _api.Client.SendAsync(request, Cancellation);

        var headers = Assert.Single(_inference.Seen).Headers;
        Assert.Equal("kept", headers["X-Custom"]);
        Assert.DoesNotContain(headers.Keys, name =>
            name.ToUpperInvariant() is "AUTHORIZATION" or "X-API-KEY" or "COOKIE" or "X-VALUECANVAS-PRIORITY" or "X-HOP");
    }

    [Fact]
    public async Task Post_InternalHeaders_AreTheApisAndNeverTheClients()
    {
        await using var api = new ApiHost(_inference.Address, settings: ("Inference:InternalKey", "the-key-of-the-house-0123"));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent("{}") };
        request.Headers.Add("X-ValueCanvas-Internal", "the-clients-own-key-0123");
        request.Headers.Add("X-ValueCanvas-Tenant", "someone-else");
        request.Headers.Add("X-ValueCanvas-Risk", "critical");

        using var response = await api.Client.SendAsync(request, Cancellation);

        var headers = Assert.Single(_inference.Seen).Headers;
        Assert.Equal("the-key-of-the-house-0123", headers["x-valuecanvas-internal"]);
        Assert.Equal(ValueCanvas.Core.Database.Tenants.Development.ToString(), headers["x-valuecanvas-tenant"]);
        Assert.False(headers.ContainsKey("x-valuecanvas-risk"));
    }

    [Fact]
    public async Task Stream_EachEvent_ArrivesBeforeTheNextIsSent()
    {
        var goOn = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            await FakeInference.Event(context, "one");
            await goOn.Task.WaitAsync(context.RequestAborted);
            await FakeInference.Event(context, "[DONE]");
        };

        using var response = await StreamAsync();
        await using var body = await response.Content.ReadAsStreamAsync(Cancellation);

        Assert.Equal("data: one\n\n", await ReadAsync(body, 11));
        goOn.SetResult();
        Assert.Equal("data: [DONE]\n\n", await ReadAsync(body, 100));
    }

    [Theory]
    [InlineData("data: one\n\n", "data: one\n\n")]
    [InlineData("data: one\n\ndata: tw", "data: one\n\ndata: tw\n\n")]
    public async Task Stream_BreaksOff_EndsWithAnErrorEvent(string sent, string received)
    {
        var cut = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(sent), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            await cut.Task.WaitAsync(context.RequestAborted);
            context.Abort();
        };

        using var response = await StreamAsync();
        await using var body = await response.Content.ReadAsStreamAsync(Cancellation);
        var first = await ReadAsync(body, sent.Length);
        cut.SetResult();

        var all = first + await ReadAsync(body, 10_000);
        Assert.StartsWith($"{received}data: {{\"error\":{{\"message\":", all, StringComparison.Ordinal);
        Assert.EndsWith("\"param\":null,\"code\":\"inference_unavailable\"}}\n\n", all, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answer_CutInTheMiddle_IsNoWholeAnswer()
    {
        var cut = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            // One that is small is here whole before any of it goes out.
            context.Response.ContentLength = 60_000;
            await context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes("{\"half\":" + new string(' ', 30_000)), context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            await cut.Task.WaitAsync(context.RequestAborted);
            context.Abort();
        };

        using var response = await StreamAsync();
        await using var body = await response.Content.ReadAsStreamAsync(Cancellation);
        Assert.Equal("{\"half\":", await ReadAsync(body, 8));
        cut.SetResult();

        await Assert.ThrowsAnyAsync<IOException>(() => ReadAsync(body, 60_000));
    }

    [Fact]
    public async Task Stream_ClientLeaves_StopsTheModel()
    {
        var aborted = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            context.RequestAborted.Register(() => aborted.TrySetResult());
            await FakeInference.Event(context, "one");
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
        };

        var response = await StreamAsync();
        response.Dispose();

        await aborted.Task.WaitAsync(Bound, Cancellation);
    }

    [Fact]
    public async Task Proxy_Down_Is503AsOpenAiSpeaks()
    {
        await using var alone = new ApiHost();

        using var response = await alone.PostAsync("/v1/chat/completions", "{}");

        var error = await ApiHost.OpenAiErrorAsync(response, 503);
        Assert.Equal("server_error", error.GetProperty("type").GetString());
        Assert.NotNull(response.Headers.RetryAfter?.Delta);
    }

    [Fact]
    public async Task OfficialClient_ChatStreamAndEmbeddings_Work()
    {
        _inference.Answer = context => context.Request.Path.Value switch
        {
            "/v1/embeddings" => FakeInference.Text(
                context, 200,
                """
                {"object":"list","model":"m","data":[{"object":"embedding","index":0,"embedding":[0.5,-1]}],
                "usage":{"prompt_tokens":1,"total_tokens":1}}
                """),
            _ when _inference.Seen.Last().Json.TryGetProperty("stream", out var stream) && stream.GetBoolean() =>
                FakeInference.Stream(context, "Hel", "lo."),
            _ => FakeInference.Text(context, 200, FakeInference.Completion("Hello.")),
        };
        var chat = OpenAi.GetChatClient("m");

        ChatCompletion completion = await chat.CompleteChatAsync([new UserChatMessage("Hi")], cancellationToken: Cancellation);
        Assert.Equal("Hello.", completion.Content[0].Text);
        Assert.Equal(10, completion.Usage.TotalTokenCount);

        var streamed = new StringBuilder();
        await foreach (var update in chat.CompleteChatStreamingAsync([new UserChatMessage("Hi")], cancellationToken: Cancellation))
            streamed.Append(string.Concat(update.ContentUpdate.Select(part => part.Text)));
        Assert.Equal("Hello.", streamed.ToString());

        var embedding = await OpenAi.GetEmbeddingClient("m").GenerateEmbeddingAsync("Hi", cancellationToken: Cancellation);
        Assert.Equal(2, embedding.Value.ToFloats().Length);
    }

    [Fact]
    public async Task OfficialClient_UnknownModel_SeesTheErrorObject()
    {
        _inference.Answer = context => FakeInference.Error(context, 404, "The model 'm' does not exist.", "model_not_found");

        var failure = await Assert.ThrowsAsync<ClientResultException>(
            () => OpenAi.GetChatClient("m").CompleteChatAsync([new UserChatMessage("Hi")], cancellationToken: Cancellation));

        Assert.Equal(404, failure.Status);
        Assert.Contains("model_not_found", failure.Message, StringComparison.Ordinal);
    }

    private async Task<HttpResponseMessage> StreamAsync()
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent("{\"stream\":true}") };
        var response = await _api.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation)
            .WaitAsync(Bound, Cancellation);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return response;
    }

    /// <summary>Up to so many bytes, or to the end.</summary>
    private static async Task<string> ReadAsync(Stream body, int length)
    {
        var buffer = new byte[length];
        var read = await body.ReadAtLeastAsync(buffer, length, throwOnEndOfStream: false, Cancellation).AsTask()
            .WaitAsync(Bound, Cancellation);
        return Encoding.UTF8.GetString(buffer, 0, read);
    }
}
