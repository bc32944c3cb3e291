using System.Net;
using ValueCanvas.Tests.Api.ApiKeys;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Authentication;

public sealed class ModelAllowListTests : IClassFixture<ModelAllowListTests.Fixture>
{
    private readonly KeyDatabase _database;
    private readonly FakeInference _inference;
    private readonly ApiHost _api;
    private readonly HttpClient _client;

    public ModelAllowListTests(Fixture fixture)
    {
        (_database, _inference, _api, _client) = (fixture.Database, fixture.Inference, fixture.Api, fixture.Client);
        _inference.Seen.Clear();
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("""{"model":"small"}""")]
    [InlineData("""{"messages":[{"model":"large"}],"model":"tiny-9"}""")]
    [InlineData("""{"mod\u0065l":"small"}""")]
    public async Task V1_AllowedModel_IsForwardedAsItIs(string body)
    {
        using var response = await _client.PostAsync("/v1/chat/completions", KeyDatabase.Json(body), Cancellation);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(body, System.Text.Encoding.UTF8.GetString(Assert.Single(_inference.Seen).Body));
    }

    [Theory]
    [InlineData("""{"model":"large"}""", 403)]
    [InlineData("""{"model":"Small"}""", 403)]
    [InlineData("""{"mod\u0065l":"large"}""", 403)]
    [InlineData("""{"model":"small","model":"large"}""", 403)]
    [InlineData("""{"model":"large","model":"small"}""", 403)]
    [InlineData("""{"messages":[]}""", 403)]
    [InlineData("""{"model":null}""", 400)]
    [InlineData("""{"model":["small"]}""", 400)]
    [InlineData("""{"model":"small"} {"model":"large"}""", 400)]
    [InlineData("""["small"]""", 400)]
    [InlineData("", 400)]
    [InlineData("""{"model":"small\ud800"}""", 400)]
    public async Task V1_AnotherModelOrNoneThatCanBeRead_IsRefusedAndNotForwarded(string body, int status)
    {
        foreach (var path in (string[])["/v1/chat/completions", "/v1/completions", "/v1/embeddings"])
        {
            using var response = await _client.PostAsync(path, KeyDatabase.Json(body), Cancellation);
            await ApiHost.OpenAiErrorAsync(response, status);
        }

        Assert.Empty(_inference.Seen);
    }

    [Fact]
    public async Task Messages_AnotherModelOrNoScope_IsRefusedAsAnthropicSpeaks()
    {
        var made = await KeyDatabase.MakeAsync(_api.Client, new { name = "readers", scopes = (string[])["canvas"] });
        using var unscoped = _api.ClientWith(made.GetProperty("key").GetString());
        foreach (var path in (string[])["/v1/messages", "/v1/messages/count_tokens"])
        {
            using var model = await _client.PostAsync(path, KeyDatabase.Json("""{"model":"large","max_tokens":1}"""), Cancellation);
            using var scope = await unscoped.PostAsync(path, KeyDatabase.Json("""{"model":"small","max_tokens":1}"""), Cancellation);
            foreach (var refused in new[] { model, scope })
                Assert.Equal("permission_error", (await ApiHost.AnthropicErrorAsync(refused, 403)).GetProperty("type").GetString());
        }

        Assert.Empty(_inference.Seen);
        using var allowed = await _client.PostAsync(
            "/v1/messages", KeyDatabase.Json("""{"model":"tiny-9","max_tokens":1}"""), Cancellation);
        Assert.Equal(HttpStatusCode.OK, allowed.StatusCode);
    }

    [Fact]
    public async Task V1_Compressed_IsRefused()
    {
        var content = KeyDatabase.Json("""{"model":"small"}""");
        content.Headers.Add("Content-Encoding", "gzip");
        using var response = await _client.PostAsync("/v1/chat/completions", content, Cancellation);
        await ApiHost.OpenAiErrorAsync(response, 400);
    }

    [Fact]
    public async Task Models_List_HasTheAllowedOnes_AndAnotherIs404()
    {
        using var list = await _client.GetAsync("/v1/models", Cancellation);
        var models = (await ApiHost.JsonAsync(list)).GetProperty("data").EnumerateArray()
            .Select(model => model.GetProperty("id").GetString());
        Assert.Equal(["small", "tiny-1"], models);

        using var other = await _client.GetAsync("/v1/models/large", Cancellation);
        await ApiHost.OpenAiErrorAsync(other, 404);
        using var own = await _client.GetAsync("/v1/models/small", Cancellation);
        Assert.Equal(HttpStatusCode.OK, own.StatusCode);

        using var everything = await _api.GetAsync("/v1/models");
        Assert.Equal(4, (await ApiHost.JsonAsync(everything)).GetProperty("data").GetArrayLength());
    }

    [Theory]
    [InlineData("/api/llm/chat", """{"prompt":"Hi"}""")]
    [InlineData("/api/llm/chat", """{"prompt":"Hi","model":"large"}""")]
    [InlineData("/generate", """{"prompt":"Hi","model":"large"}""")]
    [InlineData("/api/canvas/generate", """{"businessDescription":"A bakery"}""")]
    [InlineData(
        "/api/queue/llm",
        """{"type":"canvas_generation","promptKey":"canvas.generate","promptVariables":{"businessDescription":"A bakery"}}""")]
    public async Task Api_ModelThatIsNotAllowed_Is403(string path, string body)
    {
        using var response = await _client.PostAsync(path, KeyDatabase.Json(body), Cancellation);

        var problem = await ApiHost.ProblemAsync(response, 403);
        Assert.EndsWith("model-not-allowed", problem.GetProperty("type").GetString(), StringComparison.Ordinal);
        Assert.Contains("small", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LastUse_IsToldWhenTheServiceStops()
    {
        var made = await KeyDatabase.MakeAsync(_api.Client, new { name = "used" });
        var id = made.GetProperty("id").GetGuid();
        await using (var other = new ApiHost(database: _database.App))
        {
            using var used = await other.ClientWith(made.GetProperty("key").GetString()).GetAsync("/api/canvas", Cancellation);
            Assert.Equal(HttpStatusCode.OK, used.StatusCode);
            Assert.True(await _database.ScalarAsync<bool>($"SELECT last_used_at IS NULL FROM api_keys WHERE id = '{id}'"));
        }

        Assert.True(await _database.ScalarAsync<bool>(
            $"SELECT last_used_at BETWEEN now() - interval '1 minute' AND now() FROM api_keys WHERE id = '{id}'"));
    }

    /// <summary>For all tests of the class: the Api, and a client whose key is for some models.</summary>
    public sealed class Fixture(ServersFixture servers) : IAsyncLifetime
    {
        public KeyDatabase Database { get; } = new(servers);

        internal FakeInference Inference { get; private set; } = null!;

        internal ApiHost Api { get; private set; } = null!;

        internal HttpClient Client { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            await Database.InitializeAsync();
            Inference = await FakeInference.StartAsync();
            Inference.Answer = context => FakeInference.Text(
                context, 200, """{"object":"list","data":[{"id":"small"},{"id":"tiny-1"},{"id":"large"},{"id":7}]}""");
            Api = new ApiHost(Inference.Address, Database.App);
            var made = await KeyDatabase.MakeAsync(Api.Client, new { name = "limited", models = (string[])["small", "tiny-*"] });
            Client = Api.ClientWith(made.GetProperty("key").GetString());
        }

        public async ValueTask DisposeAsync()
        {
            await Api.DisposeAsync();
            await Inference.DisposeAsync();
        }
    }
}
