using System.Net;
using System.Text.Json;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Api.Providers;

/// <summary>What the Api makes of the proxy's account of its model servers.</summary>
public sealed class ProviderStatusTests : IClassFixture<FakedApi>
{
    private readonly FakeInference _inference;
    private readonly ApiHost _api;

    public ProviderStatusTests(FakedApi faked)
    {
        faked.Begin();
        (_inference, _api) = (faked.Inference, faked.Host);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("closed", null, "closed", "healthy", HttpStatusCode.OK)]
    [InlineData("open", "2999-01-01T00:00:00Z", "open", "unhealthy", HttpStatusCode.ServiceUnavailable)]
    [InlineData("forced_open", null, "open", "unhealthy", HttpStatusCode.ServiceUnavailable)]
    [InlineData("open", "2001-01-01T00:00:00Z", "half_open", "healthy", HttpStatusCode.OK)]
    [InlineData("half_open", null, "half_open", "healthy", HttpStatusCode.OK)]
    public async Task Health_OfOneProvider_IsItsBreakersState(
        string breaker, string? until, string state, string status, HttpStatusCode code)
    {
        _inference.Providers = Document(Provider("vllm", Replica("vllm-0", "up", Breaker("m", breaker, until))));
        using var stranger = _api.ClientWith(null);

        using var response = await stranger.GetAsync("/api/llm/health", Cancellation);

        Assert.Equal(code, response.StatusCode);
        var body = await ApiHost.JsonAsync(response);
        Assert.Equal(code == HttpStatusCode.OK, body.GetProperty("success").GetBoolean());
        Assert.Equal(status, body.GetProperty("data").GetProperty("status").GetString());
        Assert.Equal(state, body.GetProperty("data").GetProperty("providers").GetProperty("vllm").GetProperty("state").GetString());
    }

    [Fact]
    public async Task Health_OneProviderDown_IsDegraded()
    {
        _inference.Providers = Document(
            Provider("vllm", Replica("vllm-0", "down")), Provider("together", Replica("api.together.ai", "up")));

        using var response = await _api.GetAsync("/api/llm/health");
        var data = (await ApiHost.JsonAsync(response)).GetProperty("data");

        Assert.Equal((HttpStatusCode.OK, "degraded"), (response.StatusCode, data.GetProperty("status").GetString()));
        Assert.Equal("unhealthy", data.GetProperty("providers").GetProperty("vllm").GetProperty("status").GetString());
        Assert.Equal("healthy", data.GetProperty("providers").GetProperty("togetherAI").GetProperty("status").GetString());
    }

    [Fact]
    public async Task HealthAndStats_ProxyAway_Are503()
    {
        await using var alone = new ApiHost();

        using var response = await alone.GetAsync("/api/llm/health");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.False((await ApiHost.JsonAsync(response)).GetProperty("success").GetBoolean());
        await ApiHost.ProblemAsync(await alone.GetAsync("/api/llm/stats"), 503);
    }

    /// <summary>A model that one of two servers still takes is not away; a model that none takes is, whatever the others do.</summary>
    [Fact]
    public async Task Stats_OfSeveralServersAndModels_TellTheModelThatIsWorstOff()
    {
        _inference.Providers = Document(
            Provider("vllm",
                Replica("vllm-0", "up", Breaker("a", "open"), Breaker("b", "closed")),
                Replica("vllm-1", "up", Breaker("a", "closed"), Breaker("b", "closed"))),
            Provider("together",
                Replica("api.together.ai", "up", Breaker("a", "open", failures: 6), Breaker("b", "closed", failures: 1))));

        var data = (await ApiHost.JsonAsync(await _api.GetAsync("/api/llm/stats"))).GetProperty("data");

        Assert.Equal("closed", data.GetProperty("vllm").GetProperty("state").GetString());
        Assert.Equal("open", data.GetProperty("togetherAI").GetProperty("state").GetString());
        Assert.Equal(7, data.GetProperty("togetherAI").GetProperty("failures").GetInt32());
        Assert.Equal(2, data.GetProperty("vllm").GetProperty("available").GetInt32());
        Assert.Equal("not_configured", data.GetProperty("openAI").GetProperty("state").GetString());
        Assert.DoesNotContain("10.0.0.9", data.GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain("f1f1f1f1", data.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stats_AllKeysOfAProviderResting_IsUnhealthy()
    {
        _inference.Providers = Document(
            Provider("openai", Replica("api.openai.com", "up")).Replace("\"ready\"", "\"disabled\"", StringComparison.Ordinal));

        var provider = (await ApiHost.JsonAsync(await _api.GetAsync("/api/llm/stats"))).GetProperty("data").GetProperty("openAI");

        Assert.Equal(("unhealthy", 1, 0), (
            provider.GetProperty("status").GetString(), provider.GetProperty("keysResting").GetInt32(), provider.GetProperty(
                "available").GetInt32()));
    }

    [Theory]
    [InlineData("GET", "/api/llm/stats")]
    [InlineData("POST", "/api/llm/reset")]
    public async Task Route_WithoutAKey_Is401ThatSaysHowToGetOne(string method, string path)
    {
        using var stranger = _api.ClientWith(null);
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using var response = await stranger.SendAsync(request, Cancellation);

        var problem = await ApiHost.ProblemAsync(response, 401);
        Assert.Contains("POST /api/keys", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    private static string Document(params string[] providers) => $$"""{"providers":[{{string.Join(',', providers)}}]}""";

    private static string Provider(string name, params string[] replicas) =>
        $$"""
        {"name":"{{name}}","kind":"{{name}}",
        "credentials":[{"fingerprint":"f1f1f1f1","state":"ready","status":null,"since":null,"until":null}],
        "replicas":[{{string.Join(',', replicas)}}]}
        """;

    private static string Replica(string name, string state, params string[] breakers) =>
        $$"""
        {"name":"{{name}}","address":"http://10.0.0.9","state":"{{state}}","draining":false,"inFlight":1,"models":["a"],"lastError":null,
        "lastChange":"2026-01-01T00:00:00Z","breakers":[{{string.Join(',', breakers)}}]}
        """;

    private static string Breaker(string model, string state, string? until = null, int failures = 0) =>
        $$"""
        {"model":"{{model}}","state":"{{state}}","samples":10,"failures":{{failures}},"failureRatio":0,"slow":0,"consecutive":0,
        "openUntil":{{JsonSerializer.Serialize(until)}},"coolingUntil":null,"lastFailure":null,"transitions":[]}
        """;
}
