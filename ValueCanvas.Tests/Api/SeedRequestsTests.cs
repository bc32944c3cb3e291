using System.Net;
using System.Text;
using System.Text.Json;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Tests.Core.Canvases;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api;

/// <summary>
/// The requests that the project's founding documents print for curl, as they are printed there: with the type they name, with the one that
/// <c>curl -d</c> sends by itself, and with none.
/// </summary>
public sealed class SeedRequestsTests(SeedRequestsTests.Shared shared) : IClassFixture<SeedRequestsTests.Shared>
{
    private const string Chat = """{"prompt": "Test", "model": "meta-llama/Llama-3-70b-chat-hf"}""";

    private const string Canvas =
        """
        {
            "businessDescription": "Test business",
            "industry": "Technology"
          }
        """;

    private const string Job =
        """
        {
            "type": "canvas_generation",
            "promptKey": "canvas.generate",
            "promptVariables": {"businessDescription": "Test"}
          }
        """;

    private readonly ApiHost _api = shared.Api;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static TheoryData<string, string, int, string?> Posts()
    {
        var posts = new TheoryData<string, string, int, string?>();
        foreach (var type in new[] { "application/json", "application/x-www-form-urlencoded", null })
        {
            posts.Add("/api/llm/chat", Chat, 200, type);
            posts.Add("/generate", Chat, 200, type);
            posts.Add("/api/canvas/generate", Canvas, 201, type);
            posts.Add("/api/queue/llm", Job, 202, type);
        }

        return posts;
    }

    [Theory]
    [MemberData(nameof(Posts))]
    public async Task Post_AsPrinted_IsAnswered(string path, string body, int status, string? type)
    {
        using var response = await _api.PostAsync(path, Encoding.UTF8.GetBytes(body), type);

        Assert.Equal(status, (int)response.StatusCode);
        var answer = await ApiHost.JsonAsync(response);
        Assert.True(answer.GetProperty("success").GetBoolean());
        Assert.Equal(JsonValueKind.Object, answer.GetProperty("data").ValueKind);
    }

    [Fact]
    public async Task Stats_AfterACall_KnowIt()
    {
        using (var chat = await _api.PostAsync("/api/llm/chat", Chat))
            Assert.Equal(HttpStatusCode.OK, chat.StatusCode);

        var data = (await ApiHost.JsonAsync(await _api.GetAsync("/api/llm/stats"))).GetProperty("data");

        Assert.Equal("not_configured", data.GetProperty("togetherAI").GetProperty("state").GetString());
        Assert.True(data.GetProperty("cost").GetProperty("calls").GetInt64() > 0);
        Assert.True(data.GetProperty("cost").GetProperty("outputTokens").GetInt64() > 0);
    }

    /// <summary>Some of them are printed without a token: the answer says what is missing.</summary>
    [Theory]
    [InlineData("POST", "/api/llm/chat")]
    [InlineData("POST", "/api/llm/reset")]
    [InlineData("POST", "/api/canvas/generate")]
    [InlineData("POST", "/api/queue/llm")]
    [InlineData("POST", "/generate")]
    [InlineData("GET", "/api/llm/stats")]
    [InlineData("GET", "/api/queue/metrics")]
    [InlineData("PUT", "/api/flags/new-feature")]
    public async Task Request_WithoutAToken_Is401ThatSaysHowToGetOne(string method, string path)
    {
        using var stranger = _api.ClientWith(null);
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Content = method == "GET" ? null : new StringContent(Chat);
        using var response = await stranger.SendAsync(request, Cancellation);

        var problem = await ApiHost.ProblemAsync(response, 401);
        Assert.Contains("Authorization: Bearer", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Contains("POST /api/auth/login", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/health")]
    [InlineData("/health/ready")]
    [InlineData("/health/live")]
    [InlineData("/ready")]
    [InlineData("/api/health/")]
    [InlineData("/api/health/ready")]
    [InlineData("/api/health/live")]
    [InlineData("/api/llm/health")]
    public async Task Health_AsPrinted_NeedsNoToken(string path)
    {
        using var stranger = _api.ClientWith(null);
        using var response = await stranger.GetAsync(path, Cancellation);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    /// <summary><c>"checks":{"redis":"healthy",…}</c> of one document, <c>"services":{"secret_manager":…}</c> of another.</summary>
    [Fact]
    public async Task Health_HasBothShapes()
    {
        var health = await ApiHost.JsonAsync(await _api.GetAsync("/health"));

        Assert.Equal(["status", "version", "checks", "services"], health.EnumerateObject().Select(property => property.Name));
        foreach (var name in new[] { "database", "redis", "inference", "providers", "secret_manager", "rate_limiter", "circuit_breakers" })
        {
            Assert.Matches("^(healthy|degraded|unhealthy)$", health.GetProperty("checks").GetProperty(name).GetString());
            var service = health.GetProperty("services").GetProperty(name);
            Assert.Equal(health.GetProperty("checks").GetProperty(name).GetString(), service.GetProperty("status").GetString());
            Assert.True(service.GetProperty("latencyMs").GetDouble() >= 0);
        }
    }

    public sealed class Shared(ServersFixture servers) : IAsyncLifetime
    {
        internal FakeInference Inference { get; private set; } = null!;

        internal ApiHost Api { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Inference = await FakeInference.StartAsync();
            Inference.Providers =
                """
                {"providers":[{"name":"vllm","kind":"vllm","credentials":[],
                "replicas":[{"name":"vllm-0","state":"up","models":[],"breakers":[]}]}]}
                """;
            Inference.Answer = context => FakeInference.Text(
                context, 200, FakeInference.Completion(CanvasGeneratorTests.ValidAnswer(CanvasType.ValueProposition).ToJsonString()));
            var database = ApiDatabase.AsApp(await servers.CreateMigratedDatabaseAsync("seed"));
            Api = new ApiHost(
                Inference.Address, database, servers.Redis, ("RateLimiting:Enabled", "false"), ("Health:CheckTimeout", "00:00:20"));
        }

        public async ValueTask DisposeAsync()
        {
            await Api.DisposeAsync();
            await Inference.DisposeAsync();
        }
    }
}
