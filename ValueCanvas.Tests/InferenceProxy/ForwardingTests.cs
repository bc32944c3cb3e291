using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class ForwardingTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/completions")]
    [InlineData("/v1/embeddings")]
    public async Task Request_KnownModel_ArrivesByteForByteAndAnswersWithTheTarget(string path)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica);
        const string body = """ { "unknown_field" : [1.0e1, {"ä":"\u00e4"}], "model":"small-model" ,"n":1.00,"cache_salt":"s" } """;

        using var response = await proxy.PostAsync(body, path);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("""{"id":"x","object":"chat.completion","choices":[]}""", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal(new Uri(replica.Address).Authority, response.Headers.GetValues("x-valuecanvas-target").Single());
        Assert.Equal("vllm", response.Headers.GetValues("x-valuecanvas-provider").Single());
        Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        var received = Assert.Single(replica.Received);
        Assert.Equal(path, received.Path);
        Assert.Equal(body, received.Text);
    }

    [Theory]
    [InlineData("default")]
    [InlineData("meta-llama/Llama-3-70b-chat-hf")]
    [InlineData("nick")]
    public async Task Request_Alias_ChangesTheModelAndNothingElse(string alias)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica, ("Inference:Aliases:nick", "default"));

        using var response = await proxy.PostAsync($$"""{"a" : {"model":"inner"},"model" :  "{{alias}}" , "z":[ ]}""");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("""{"a" : {"model":"inner"},"model" :  "small-model" , "z":[ ]}""", Assert.Single(replica.Received).Text);
    }

    [Fact]
    public async Task Request_TenMegabytes_Passes()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica);
        var body = Encoding.UTF8.GetBytes($$"""{"model":"default","prompt":"{{new string('x', 10_000_000)}}"}""");

        using var response = await proxy.PostAsync(body, "/v1/completions");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(body.Length + "small-model".Length - "default".Length, Assert.Single(replica.Received).Body.Length);
    }

    [Fact]
    public async Task Request_LargerThanTheServerTakes_GetsTheServersRefusal()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        replica.LargestBody = 1_000_000;
        await using var proxy = ProxyHost.Start(replica);
        var body = Encoding.UTF8.GetBytes($$"""{"model":"default","prompt":"{{new string('x', 10_000_000)}}"}""");

        using var response = await proxy.PostAsync(body, "/v1/completions");

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
    }

    [Fact]
    public async Task Request_ModelNameOfAnyLength_IsNotRepeatedWhole()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync($$"""{"model":"{{new string('m', 100_000)}}"}""");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.InRange((await response.Content.ReadAsByteArrayAsync(Cancel)).Length, 1, 1000);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Request_LargerThanTheLimit_Is413(bool lengthAnnounced)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica, ("Inference:MaxBodyBytes", "2000"));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent($$"""{"model":"default","prompt":"{{new string('x', 3000)}}"}"""),
        };
        request.Headers.TransferEncodingChunked = !lengthAnnounced;

        using var response = await proxy.Client.SendAsync(request, Cancel);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Contains("Inference:MaxBodyBytes", (await response.ErrorAsync()).GetProperty("message").GetString());
        Assert.Empty(replica.Received);
    }

    [Theory]
    [InlineData("", null)]
    [InlineData("{", null)]
    [InlineData("{\"model\":\"default\"", null)]
    [InlineData("{\"model\":\"default\"} trailing", null)]
    [InlineData("[1]", null)]
    [InlineData("\"text\"", null)]
    [InlineData("null", null)]
    [InlineData("{}", "model")]
    [InlineData("{\"model\":null}", "model")]
    [InlineData("{\"model\":7}", "model")]
    [InlineData("{\"model\":\"\"}", "model")]
    [InlineData("{\"model\":\"\\ud800\"}", "model")]
    [InlineData("{\"model\":\"default\",\"model\":\"other\"}", "model")]
    [InlineData("{\"model\":\"default\",\"stream\":\"yes\"}", "stream")]
    public async Task Request_Malformed_Is400ThatNamesTheField(string body, string? param)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var error = await response.ErrorAsync();
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.Equal(param, error.GetProperty("param").GetString());
        Assert.Empty(replica.Received);
    }

    [Fact]
    public async Task Request_NotUtf8OrTooDeep_Is400()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica);

        using var bytes = await proxy.PostAsync([.. "{\"model\":\"default\",\"x\":\""u8, 0xC3, 0x28, .. "\"}"u8]);
        using var deep = await proxy.PostAsync($$"""{"model":"default","x":{{new string('[', 100_000)}}""");

        Assert.Equal(HttpStatusCode.BadRequest, bytes.StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, deep.StatusCode);
        Assert.Empty(replica.Received);
    }

    [Fact]
    public async Task Request_UnknownModel_Is404ThatNamesWhatIsServed()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync, "small-model", "other-model");
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync("""{"model":"gpt-9"}""");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        var error = await response.ErrorAsync();
        Assert.Equal("model_not_found", error.GetProperty("code").GetString());
        Assert.Contains("gpt-9", error.GetProperty("message").GetString());
        Assert.Contains("small-model", error.GetProperty("message").GetString());
        Assert.Contains("other-model", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task Request_UnknownPath_Is404ThatNamesThePaths()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync("{}", "/v1/images");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Contains("/v1/chat/completions", (await response.ErrorAsync()).GetProperty("message").GetString());
    }

    [Fact]
    public async Task Response_UpstreamError_PassesWithStatusBodyAndHeaders()
    {
        const string error = """{"error":{"message":"too long","type":"BadRequestError","param":null,"code":400}}""";
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            context.Response.StatusCode = 429;
            context.Response.ContentType = "application/json";
            context.Response.Headers["Retry-After"] = "7";
            context.Response.Headers["x-request-id"] = "abc";
            context.Response.Headers["Server"] = "uvicorn";
            context.Response.Headers["x-valuecanvas-attempts"] = "99";
            await Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(context.Response, error, context.RequestAborted);
        });
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync("""{"model":"default"}""");

        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Equal(error, await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal("7", response.Headers.GetValues("Retry-After").Single());
        Assert.Equal("abc", response.Headers.GetValues("x-request-id").Single());
        Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        Assert.Empty(response.Headers.Server);
    }

    [Fact]
    public async Task Headers_OfTheHopAndCredentials_StayTheOthersPass()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica);
        var trace = ActivityTraceId.CreateRandom();
        using var request = new HttpRequestMessage(
            HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent("""{"model":"default"}""") };
        request.Headers.Add("Authorization", "Bearer caller-key");
        request.Headers.Add("x-api-key", "caller-key");
        request.Headers.Add("Cookie", "session=caller-key");
        request.Headers.Add("x-valuecanvas-tenant", "someone");
        request.Headers.Add("X-Forwarded-For", "10.1.1.1");
        request.Headers.Add("Connection", "x-of-this-hop");
        request.Headers.Add("x-of-this-hop", "1");
        request.Headers.Add("OpenAI-Beta", "yes");
        request.Headers.Add("x-request-id", "r-1");
        request.Headers.Add("traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom()}-01");

        using var response = await proxy.Client.SendAsync(request, Cancel);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var received = Assert.Single(replica.Received).Headers;
        foreach (var stays in new[] { "Authorization", "x-api-key", "Cookie", "x-valuecanvas-tenant", "X-Forwarded-For", "x-of-this-hop" })
            Assert.False(received.ContainsKey(stays), $"{stays} must not pass");

        Assert.DoesNotContain("caller-key", string.Concat(received.Values));
        Assert.Equal("yes", received["OpenAI-Beta"]);
        Assert.Equal("r-1", received["x-request-id"]);
        Assert.Equal(new Uri(replica.Address).Authority, received["Host"]);
        Assert.Contains(trace.ToString(), received["traceparent"]);
    }

    [Fact]
    public async Task Models_Always_ListsServedModelsAndAliases()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync, "small-model", "other-model");
        await using var proxy = ProxyHost.Start(replica);

        var models = await proxy.Client.GetFromJsonAsync<JsonElement>("/v1/models", Cancel);

        Assert.Equal("list", models.GetProperty("object").GetString());
        var ids = models.GetProperty("data").EnumerateArray()
            .ToDictionary(m => m.GetProperty("id").GetString()!, m => m.GetProperty("root").GetString());
        Assert.Equal(["default", "meta-llama/Llama-3-70b-chat-hf", "other-model", "small-model"], ids.Keys.Order(StringComparer.Ordinal));
        Assert.Equal("small-model", ids["default"]);
    }
}
