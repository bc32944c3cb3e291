using System.ClientModel;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using OpenAI;
using OpenAI.Chat;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.VllmSimulator;

namespace ValueCanvas.Tests.Api;

/// <summary>Api, inference proxy and simulator as they are, each on its own Kestrel; only the AppHost is missing.</summary>
public sealed class WholePathTests(WholePathTests.Whole whole) : IClassFixture<WholePathTests.Whole>
{
    private const string Model = "meta-llama/Llama-3.1-8B-Instruct";

    private readonly ApiHost _api = whole.Api;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("value_proposition", CanvasType.ValueProposition)]
    [InlineData("business_model", CanvasType.BusinessModel)]
    [InlineData("lean", CanvasType.Lean)]
    public async Task Canvas_OfEachType_IsGeneratedAndSchemaValid(string name, CanvasType type)
    {
        using var response = await _api.PostAsync(
            "/api/canvas/generate",
            JsonSerializer.Serialize(new
            {
                businessDescription = "A bakery in Leipzig delivers fresh sourdough bread to offices every morning by cargo bike.",
                industry = "Food",
                type = name,
            }));

        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        var data = (await ApiHost.JsonAsync(response)).GetProperty("data");
        Assert.Empty(CanvasSchema.For(type).Validate(data.GetProperty("content").GetRawText()));
        Assert.Equal(Model, data.GetProperty("model").GetString());
        Assert.True(data.GetProperty("usage").GetProperty("outputTokens").GetInt32() > 0);
    }

    [Theory]
    [InlineData("""{"prompt": "Test", "model": "meta-llama/Llama-3-70b-chat-hf"}""")]
    [InlineData("""{"prompt": "Test"}""")]
    public async Task Chat_ByAliasOrDefault_IsAnswered(string body)
    {
        using var response = await _api.PostAsync("/api/llm/chat", body);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var data = (await ApiHost.JsonAsync(response)).GetProperty("data");
        Assert.False(string.IsNullOrWhiteSpace(data.GetProperty("response").GetString()));
        Assert.Equal("vllm", data.GetProperty("provider").GetString());
        Assert.True(data.GetProperty("usage").GetProperty("totalTokens").GetInt32() > 0);
    }

    [Fact]
    public async Task Model_Unknown_Is404ThatNamesWhatIsServed()
    {
        var problem = await ApiHost.ProblemAsync(await _api.PostAsync("/api/llm/chat", """{"prompt":"a","model":"gpt-9"}"""), 404);
        Assert.Contains(Model, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);

        var error = await ApiHost.OpenAiErrorAsync(
            await _api.PostAsync("/v1/chat/completions", """{"model":"gpt-9","messages":[{"role":"user","content":"a"}]}"""), 404);
        Assert.Contains(Model, error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("""{"model":"default"}""")]
    [InlineData("""{"model":"default","messages":"hi"}""")]
    [InlineData("""{"messages":[]}""")]
    public async Task OpenAi_BadBody_IsA400WithAnErrorObject(string body) =>
        await ApiHost.OpenAiErrorAsync(await _api.PostAsync("/v1/chat/completions", body), 400);

    [Fact]
    public async Task OfficialClient_ChatStreamAndEmbeddings_Work()
    {
        var client = new OpenAIClient(
            new ApiKeyCredential(ApiHost.Key), new OpenAIClientOptions { Endpoint = new Uri(_api.Address, "/v1") });
        var chat = client.GetChatClient("default");

        ChatCompletion completion = await chat.CompleteChatAsync([new UserChatMessage("Hi")], cancellationToken: Cancellation);
        Assert.NotEmpty(completion.Content[0].Text);

        var streamed = new StringBuilder();
        await foreach (var update in chat.CompleteChatStreamingAsync([new UserChatMessage("Hi")], cancellationToken: Cancellation))
            streamed.Append(string.Concat(update.ContentUpdate.Select(part => part.Text)));
        Assert.NotEqual(0, streamed.Length);

        var embedding = await client.GetEmbeddingClient("default").GenerateEmbeddingAsync("Hi", cancellationToken: Cancellation);
        Assert.Equal(1024, embedding.Value.ToFloats().Length);

        var models = await client.GetOpenAIModelClient().GetModelsAsync(Cancellation);
        Assert.Contains(models.Value, model => model.Id == Model);
        var one = await client.GetOpenAIModelClient().GetModelAsync("meta-llama/Llama-3-70b-chat-hf", Cancellation);
        Assert.Equal("meta-llama/Llama-3-70b-chat-hf", one.Value.Id);
        await ApiHost.OpenAiErrorAsync(await _api.GetAsync("/v1/models/gpt-9"), 404);
    }

    [Fact]
    public async Task Stream_TheModelServerBreaks_EndsWithExactlyOneErrorEvent()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent("""{"model":"default","stream":true,"messages":[{"role":"user","content":"Hi"}]}"""),
        };
        request.Headers.Add("x-simulator-fault", "cut-after=3");

        using var response = await _api.Client.SendAsync(request, Cancellation);

        var events = (await response.Content.ReadAsStringAsync(Cancellation)).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.True(events.Length > 1, string.Join('|', events));
        Assert.StartsWith("data: {\"error\":", events[^1], StringComparison.Ordinal);
        Assert.Single(events, text => text.StartsWith("data: {\"error\":", StringComparison.Ordinal));
    }

    public sealed class Whole(ServersFixture servers) : IAsyncLifetime
    {
        private readonly Simulator _simulator = new();
        private ProxyHost _proxy = null!;

        internal ApiHost Api { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            _simulator.UseKestrel();
            _simulator.StartServer();
            using var known = _simulator.CreateClient();
            _proxy = ProxyHost.Start([known.BaseAddress!.ToString().TrimEnd('/')], ("Inference:DefaultModel", Model));
            var database = ApiDatabase.AsApp(await servers.CreateMigratedDatabaseAsync("api"));
            Api = new ApiHost(_proxy.Client.BaseAddress!.ToString().TrimEnd('/'), database, servers.Redis);
            await ProxyHost.UntilAsync(async () => (await Api.GetAsync("/health/ready")).StatusCode == HttpStatusCode.OK);
        }

        public async ValueTask DisposeAsync()
        {
            await Api.DisposeAsync();
            await _proxy.DisposeAsync();
            await _simulator.DisposeAsync();
        }
    }

    private sealed class Simulator : WebApplicationFactory<SimulatorOptions>
    {
        protected override void ConfigureWebHost(IWebHostBuilder builder) =>
            builder.UseEnvironment("Production").UseUrls("http://127.0.0.1:0")
                .UseSetting("LOG_LEVEL", "none")
                .UseSetting("Simulator:Model", Model)
                .UseSetting("Simulator:ZeroDelay", "true");
    }
}
