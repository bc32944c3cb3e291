using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class TargetTests
{
    private const string InternalKey = "an-internal-key-of-the-house";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Chain_FirstTargetHealthy_AnswersAndTheHeadersSaySo()
    {
        await using var first = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var second = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(first, Chain(second.Address));

        for (var i = 0; i < 4; i++)
        {
            using var response = await proxy.PostAsync("""{"model":"clever"}""");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal("vllm", response.Headers.GetValues("x-valuecanvas-provider").Single());
            Assert.Equal(new Uri(first.Address).Authority, response.Headers.GetValues("x-valuecanvas-target").Single());
            Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
            Assert.InRange(double.Parse(response.Headers.GetValues(
                "x-valuecanvas-overhead-ms").Single(), System.Globalization.CultureInfo.InvariantCulture), 0, 5000);
        }

        Assert.Equal(4, first.Received.Count);
        Assert.All(first.Received, r => Assert.Equal("""{"model":"small-model"}""", r.Text));
        Assert.Empty(second.Received);
    }

    [Fact]
    public async Task Chain_FirstTargetBreaksBeforeTheFirstByte_TheNextAnswersWithItsOwnModelName()
    {
        await using var first = await FakeReplica.StartAsync(context =>
        {
            context.Abort();
            return Task.CompletedTask;
        });
        await using var second = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(first, Chain(second.Address));

        using var response = await proxy.PostAsync("""{"a":1, "model" : "clever","z":[]}""");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("together", response.Headers.GetValues("x-valuecanvas-provider").Single());
        Assert.Equal("2", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        Assert.Equal("""{"a":1, "model" : "org/hosted-model","z":[]}""", Assert.Single(second.Received).Text);
    }

    [Fact]
    public async Task Chain_FirstTargetDown_TheNextAnswersAtOnce()
    {
        await using var second = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start([DeadAddress.Take()], Chain(second.Address));

        using var response = await proxy.PostAsync("""{"model":"clever"}""");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        var models = await proxy.Client.GetFromJsonAsync<JsonElement>("/v1/models", Cancel);
        var clever = models.GetProperty("data").EnumerateArray().Single(m => m.GetProperty("id").GetString() == "clever");
        Assert.Equal("org/hosted-model", clever.GetProperty("root").GetString());
    }

    [Fact]
    public async Task Target_AsksForAPause_IsPassedOverUntilItIsOver()
    {
        await using var first = await FakeReplica.StartAsync(context => BusyAsync(context, "60"));
        await using var second = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(first, Chain(second.Address));

        var attempts = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            using var response = await proxy.PostAsync("""{"model":"clever"}""");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            attempts.Add(response.Headers.GetValues("x-valuecanvas-attempts").Single());
        }

        Assert.Equal(["2", "1", "1"], attempts);
        Assert.Single(first.Received);
    }

    [Fact]
    public async Task Targets_AllPause_429SaysWhenAndIsNotRepeatedByTheClient()
    {
        await using var replica = await FakeReplica.StartAsync(context => BusyAsync(context, "30"));
        await using var proxy = ProxyHost.Start(replica);
        using (var own = await proxy.PostAsync("""{"model":"default"}"""))
        {
            Assert.Equal(HttpStatusCode.TooManyRequests, own.StatusCode);
            Assert.Equal("false", own.Headers.GetValues("x-should-retry").Single());
        }

        using var response = await proxy.PostAsync("""{"model":"default"}""");

        Assert.Equal(HttpStatusCode.TooManyRequests, response.StatusCode);
        Assert.Equal("rate_limit_exceeded", (await response.ErrorAsync()).GetProperty("code").GetString());
        Assert.InRange(response.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 20, 30);
        Assert.InRange(int.Parse(
            response.Headers.GetValues("retry-after-ms").Single(), System.Globalization.CultureInfo.InvariantCulture), 20_000, 30_000);
        Assert.Single(replica.Received);
    }

    [Fact]
    public async Task Attempts_AllFailed_TellTheClientNotToRepeatThem()
    {
        await using var replica = await FakeReplica.StartAsync(context =>
        {
            context.Abort();
            return Task.CompletedTask;
        });
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync("""{"model":"default"}""");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal("false", response.Headers.GetValues("x-should-retry").Single());
        Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
    }

    [Theory]
    [InlineData(InternalKey, "critical", "together")]
    [InlineData(InternalKey, "Low", "vllm")]
    [InlineData(InternalKey, null, "vllm")]
    [InlineData("some-other-key-of-the-house", "critical", "vllm")]
    [InlineData(null, "critical", "vllm")]
    public async Task Risk_ChoosesTheChainForInternalCallersOnly(string? key, string? risk, string provider)
    {
        await using var first = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var second = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(first,
            [.. Chain(second.Address), ("Inference:InternalKey", InternalKey),
                ("Inference:Models:clever:Chains:critical:0", "together/org/hosted-model")]);

        using var response = await SendAsync(proxy, key, risk);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(provider, response.Headers.GetValues("x-valuecanvas-provider").Single());
        var received = (provider == "vllm" ? first : second).Received.Single();
        Assert.DoesNotContain(received.Headers.Keys, name => name.StartsWith("x-valuecanvas-", StringComparison.OrdinalIgnoreCase));
    }

    // The field means what the header does, and is as little believed from anybody; no provider sees it, wherever it stands.
    [Theory]
    [InlineData(InternalKey, null, """{"model":"clever","risk_level":"critical"}""", "together", """{"model":"X"}""")]
    [InlineData(InternalKey, null, """{"risk_level":"Critical","model":"clever"}""", "together", """{"model":"X"}""")]
    [InlineData(InternalKey, null, """{"model":"clever" , "risk_level" : "low" , "n":1}""", "vllm", """{"model":"X","n":1}""")]
    [InlineData(InternalKey, "critical", """{"model":"clever","risk_level":"low"}""", "together", """{"model":"X"}""")]
    [InlineData(InternalKey, null, """{"model":"clever","risk_level":null}""", "vllm", """{"model":"X"}""")]
    [InlineData(null, null, """{"model":"clever","risk_level":"critical"}""", "vllm", """{"model":"X"}""")]
    [InlineData(null, null, """{"model":"clever","risk_level":[1,{"a":2}]}""", "vllm", """{"model":"X"}""")]
    public async Task Risk_AsAField_ChoosesTheChainForInternalCallersOnly(
        string? key, string? header, string body, string provider, string sent)
    {
        await using var first = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var second = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(first,
            [.. Chain(second.Address), ("Inference:InternalKey", InternalKey),
                ("Inference:Models:clever:Chains:critical:0", "together/org/hosted-model")]);

        using var response = await SendAsync(proxy, key, header, body);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(provider, response.Headers.GetValues("x-valuecanvas-provider").Single());
        var received = (provider == "vllm" ? first : second).Received.Single();
        Assert.Equal(sent.Replace("X", provider == "vllm" ? "small-model" : "org/hosted-model"), received.Text.Replace(" ", ""));
        Assert.DoesNotContain(received.Headers.Keys, name => name.StartsWith("x-valuecanvas-", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("""{"model":"clever","risk_level":"huge"}""", "risk_level")]
    [InlineData("""{"model":"clever","risk_level":7}""", "risk_level")]
    [InlineData("""{"model":"clever","risk_level":"low","risk_level":"low"}""", "twice")]
    public async Task Risk_FieldThatMakesNoSense_Is400ForInternalCallers(string body, string message)
    {
        await using var first = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(first, ("Inference:InternalKey", InternalKey));

        using var response = await SendAsync(proxy, InternalKey, risk: null, body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(message, (await response.ErrorAsync()).GetProperty("message").GetString());
        Assert.Empty(first.Received);
    }

    [Fact]
    public async Task Risk_Unknown_Is400ForInternalCallers()
    {
        await using var first = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(first, ("Inference:InternalKey", InternalKey));

        using var response = await SendAsync(proxy, InternalKey, "huge");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("x-valuecanvas-risk", (await response.ErrorAsync()).GetProperty("message").GetString());
    }

    private static async Task<HttpResponseMessage> SendAsync(
        ProxyHost proxy, string? key, string? risk, string body = """{"model":"clever"}""")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body) };
        request.Headers.TryAddWithoutValidation("x-valuecanvas-internal", key);
        request.Headers.TryAddWithoutValidation("x-valuecanvas-risk", risk);
        return await proxy.Client.SendAsync(request, Cancel);
    }

    private static (string, string)[] Chain(string second) =>
    [
        ("Inference:Providers:together:Endpoints:0", second),
        ("Inference:Models:clever:Targets:0", "vllm/default"),
        ("Inference:Models:clever:Targets:1:Provider", "together"),
        ("Inference:Models:clever:Targets:1:Model", "org/hosted-model"),
    ];

    private static async Task BusyAsync(HttpContext context, string retryAfter)
    {
        context.Response.StatusCode = StatusCodes.Status429TooManyRequests;
        context.Response.Headers.RetryAfter = retryAfter;
        await context.Response.WriteAsync("""{"error":{"message":"busy","type":"x","param":null,"code":null}}""", context.RequestAborted);
    }
}
