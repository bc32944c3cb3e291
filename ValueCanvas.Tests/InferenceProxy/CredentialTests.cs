using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class CredentialTests
{
    private const string Ask = """{"model":"big"}""";
    private const string FirstKey = "key-number-one-0123456789";
    private const string SecondKey = "key-number-two-0123456789";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("openai", "/v1/chat/completions")]
    [InlineData("together", "/v1/chat/completions")]
    [InlineData("deepseek", "/v1/chat/completions")]
    [InlineData("gemini", "/v1beta/openai/chat/completions")]
    public async Task Provider_Hosted_GetsItsPathAndKeyAndNoProbes(string kind, string path)
    {
        await using var provider = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start([], Hosted(kind, provider.Address, FirstKey));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(Ask) };
        request.Headers.Add("Authorization", "Bearer caller-key");
        request.Headers.Add("x-api-key", "caller-key");
        request.Headers.Add("x-goog-api-key", "caller-key");
        request.Headers.Add("OpenAI-Organization", "caller-org");

        using var response = await proxy.Client.SendAsync(request, Cancel);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var received = Assert.Single(provider.Received);
        Assert.Equal(path, received.Path);
        Assert.Equal($"Bearer {FirstKey}", received.Headers["Authorization"]);
        Assert.DoesNotContain("caller", string.Concat(received.Headers.Values));
        Assert.Equal(kind, response.Headers.GetValues("x-valuecanvas-provider").Single());
    }

    [Fact]
    public async Task Vllm_WithKey_GetsIt()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica, ("Inference:Providers:vllm:ApiKeys:0", FirstKey));

        using var response = await proxy.PostAsync("""{"model":"default"}""");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal($"Bearer {FirstKey}", Assert.Single(replica.Received).Headers["Authorization"]);
    }

    [Theory]
    [InlineData(401)]
    [InlineData(402)]
    [InlineData(403)]
    public async Task Key_Refused_RestsAndTheOtherOneAnswersUnseen(int status)
    {
        await using var provider = await FakeReplica.StartAsync(context =>
            context.Request.Headers.Authorization == $"Bearer {FirstKey}" ? RefuseAsync(context, status)
                : FakeReplica.AnswerAsync(context));
        await using var proxy = ProxyHost.Start([], Hosted("openai", provider.Address, FirstKey, SecondKey));

        for (var i = 0; i < 6; i++)
        {
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.Single(provider.Received, r => r.Headers["Authorization"] == $"Bearer {FirstKey}");
        Assert.Equal(6, provider.Received.Count(r => r.Headers["Authorization"] == $"Bearer {SecondKey}"));
        var keys = (await ProviderAsync(proxy, 0)).GetProperty("credentials").EnumerateArray().ToArray();
        Assert.Equal(["disabled", "ready"], keys.Select(k => k.GetProperty("state").GetString()));
        Assert.Equal(status, keys[0].GetProperty("status").GetInt32());
    }

    [Fact]
    public async Task Keys_AllRefused_Is502AndNoKeyIsShownAnywhere()
    {
        await using var provider = await FakeReplica.StartAsync(
            context => RefuseAsync(context, 401, "{\"error\":{\"message\":\"" + FirstKey + "\"}}"));
        await using var proxy = ProxyHost.Start([], Hosted("openai", provider.Address, FirstKey, SecondKey));

        for (var i = 0; i < 3; i++)
        {
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
            var error = await response.ErrorAsync();
            Assert.Equal("upstream_credentials_exhausted", error.GetProperty("code").GetString());
            Assert.DoesNotContain("key-number", error.GetRawText());
        }

        Assert.Equal(2, provider.Received.Count);
        Assert.DoesNotContain("key-number", await proxy.Client.GetStringAsync("/providers", Cancel));
        using var health = await proxy.Client.GetAsync("/health/ready", Cancel);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, health.StatusCode);
    }

    [Fact]
    public async Task Key_WithoutQuota_IsReplacedAsIfItWereRefused()
    {
        await using var provider = await FakeReplica.StartAsync(context => context.Request.Headers.Authorization == $"Bearer {FirstKey}"
            ? RefuseAsync(
                context, 429,
                """{"error":{"message":"no money","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}""")
            : FakeReplica.AnswerAsync(context));
        await using var proxy = ProxyHost.Start([], Hosted("openai", provider.Address, FirstKey, SecondKey));

        for (var i = 0; i < 4; i++)
        {
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.Single(provider.Received, r => r.Headers["Authorization"] == $"Bearer {FirstKey}");
    }

    [Fact]
    public async Task Key_AfterItsRest_IsTriedAgain()
    {
        var paid = false;
        await using var provider = await FakeReplica.StartAsync(
            context => paid ? FakeReplica.AnswerAsync(context) : RefuseAsync(context, 402));
        await using var proxy = ProxyHost.Start(
            [], [.. Hosted("openai", provider.Address, FirstKey), ("Inference:CredentialRest", "00:00:00.2")]);
        using (var refused = await proxy.PostAsync(Ask))
            Assert.Equal(HttpStatusCode.BadGateway, refused.StatusCode);

        paid = true;
        await ProxyHost.UntilAsync(async () =>
        {
            using var response = await proxy.PostAsync(Ask);
            return response.StatusCode == HttpStatusCode.OK;
        });
    }

    [Fact]
    public async Task Key_ReplacedByAReload_IsUsedAtOnceAndAStreamUnderWayGoesOn()
    {
        var more = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var provider = await FakeReplica.StartAsync(async context =>
        {
            if (context.Request.Headers.Authorization == $"Bearer {FirstKey}")
            {
                await FakeReplica.EventAsync(context, """{"choices":[{"index":0,"delta":{"content":"a"}}]}""");
                await more.Task.WaitAsync(context.RequestAborted);
                await FakeReplica.EventAsync(context, """{"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}""");
                await FakeReplica.EventAsync(context, "[DONE]");
                return;
            }

            await FakeReplica.AnswerAsync(context);
        });
        await using var proxy = ProxyHost.Start([], Hosted("openai", provider.Address, FirstKey));
        using var stream = await proxy.PostAsync("""{"model":"big","stream":true}""");
        Assert.Equal(HttpStatusCode.OK, stream.StatusCode);

        var configuration = (IConfigurationRoot)proxy.Services.GetRequiredService<IConfiguration>();
        configuration["Inference:Providers:openai:ApiKeys:0"] = SecondKey;
        configuration["Inference:Providers:openai:Models:1"] = "bigger";
        configuration["Inference:Models:nick:Targets:0"] = "openai/bigger";
        configuration.Reload();

        using var next = await proxy.PostAsync("""{"model":"nick"}""");
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
        Assert.Equal($"Bearer {SecondKey}", provider.Received.Last().Headers["Authorization"]);
        Assert.Equal("""{"model":"bigger"}""", provider.Received.Last().Text);
        more.SetResult();
        var text = await stream.Content.ReadAsStringAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.EndsWith("data: [DONE]\n\n", text);
        Assert.DoesNotContain("error", text);
    }

    [Fact]
    public async Task Variable_TogetherApiKey_IsTheKeyWhereNoneIsConfigured()
    {
        await using var provider = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start([], [.. Hosted("together", provider.Address), ("TOGETHER_API_KEY", SecondKey)]);

        using var response = await proxy.PostAsync(Ask);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal($"Bearer {SecondKey}", Assert.Single(provider.Received).Headers["Authorization"]);
    }

    [Fact]
    public async Task Provider_Hosted_WithoutListedModels_IsAskedOnce()
    {
        var asked = 0;
        await using var provider = await FakeReplica.StartAsync(context =>
        {
            if (context.Request.Path != "/v1beta/openai/models")
                return FakeReplica.AnswerAsync(context);

            Interlocked.Increment(ref asked);
            return context.Response.WriteAsync(
                """{"object":"list","data":[{"id":"models/big","object":"model"}]}""", context.RequestAborted);
        });
        await using var proxy = ProxyHost.Start([],
            ("Inference:Providers:gemini:Endpoints:0", provider.Address), ("Inference:Providers:gemini:ApiKeys:0", FirstKey));

        for (var i = 0; i < 20; i++)
        {
            using var response = await proxy.PostAsync(Ask);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.Equal(1, asked);
    }

    [Theory]
    [InlineData("Inference:Providers:openai:Kind", "cohere")]
    [InlineData("Inference:Providers:openai:ApiKeys:0", "two words")]
    [InlineData("Inference:InternalKey", "short")]
    [InlineData("Inference:CredentialRest", "00:00:00")]
    [InlineData("Inference:Models:m:Targets:0", "nobody/x")]
    [InlineData("Inference:Models:m:Targets", "", "Inference:Models:m:Name")]
    [InlineData("Inference:Models:m:Chains:huge", "openai/x", "Inference:Models:m:Chains:huge:0")]
    [InlineData("Inference:Providers:openai:ApiKeys", "https://api.openai.com", "Inference:Providers:openai:Endpoints:0")]
    public void Setting_MakesNoSense_StopsTheStartAndNamesTheKeyNotTheValue(string named, string value, string? key = null)
    {
        var failure = Assert.Throws<OptionsValidationException>(() => ProxyHost.Start(
            [], [.. Hosted("openai", "http://127.0.0.1:1"), (key ?? named, value)]));

        Assert.Contains(named, failure.Message);
        Assert.DoesNotContain("two words", failure.Message);
    }

    private static (string, string)[] Hosted(string kind, string address, params string[] keys) =>
    [
        ($"Inference:Providers:{kind}:Endpoints:0", address),
        ($"Inference:Providers:{kind}:Models:0", "big"),
        .. keys.Select((key, i) => ($"Inference:Providers:{kind}:ApiKeys:{i}", key)),
    ];

    private static async Task RefuseAsync(
        HttpContext context, int status, string body = """{"error":{"message":"no","type":"x","param":null,"code":null}}""")
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(body, context.RequestAborted);
    }

    private static async Task<JsonElement> ProviderAsync(ProxyHost proxy, int index) =>
        (await proxy.Client.GetFromJsonAsync<JsonElement>("/providers", Cancel)).GetProperty("providers")[index];
}
