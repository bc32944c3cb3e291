using System.ClientModel;
using System.ClientModel.Primitives;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;
using ValueCanvas.Tests.Api;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.VllmSimulator;

namespace ValueCanvas.Tests.Clients;

/// <summary>OpenAI's own .NET client through the proxy.</summary>
public sealed class OpenAiDotNetTests() : OpenAiDotNetChecks(throughApi: false);

/// <summary>OpenAI's own .NET client through the Api and the proxy behind it.</summary>
public sealed class OpenAiDotNetThroughApiTests() : OpenAiDotNetChecks(throughApi: true);

public abstract class OpenAiDotNetChecks(bool throughApi) : IAsyncLifetime
{
    private const string Question = "How can a bakery reduce food waste?";
    private const string Aborted = "finished_reason=\"abort\"";

    private static readonly ChatTool Weather = ChatTool.CreateFunctionTool("get_weather", "Weather",
        BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"""));

    private readonly SimulatorServer _simulator = SimulatorServer.Start();
    private Gateway _gateway = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private ChatClient Chat => Client(_gateway).GetChatClient(SimulatorServer.Model);

    public async ValueTask InitializeAsync() => _gateway = await StartAsync(_simulator);

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await _gateway.DisposeAsync();
        _simulator.Dispose();
    }

    [Fact]
    public async Task Stream_GivesTheTextAndUsageOfTheWholeAnswer()
    {
        ChatCompletion whole = await Chat.CompleteChatAsync([new UserChatMessage(Question)], cancellationToken: Cancel);
        var text = new StringBuilder();
        ChatTokenUsage? usage = null;
        await foreach (var update in Chat.CompleteChatStreamingAsync([new UserChatMessage(Question)], cancellationToken: Cancel))
        {
            text.AppendJoin("", update.ContentUpdate.Select(part => part.Text));
            usage = update.Usage ?? usage;
        }

        Assert.Equal(ChatFinishReason.Stop, whole.FinishReason);
        Assert.Equal(whole.Content[0].Text, text.ToString());
        Assert.Equal(whole.Usage.OutputTokenCount, usage!.OutputTokenCount);
    }

    [Fact]
    public async Task Tools_CallAndResult_MakeARoundTrip()
    {
        var options = new ChatCompletionOptions { Tools = { Weather } };
        var messages = new List<ChatMessage> { new UserChatMessage("Weather in Oslo?") };

        ChatCompletion called = await Chat.CompleteChatAsync(messages, options, Cancel);
        Assert.Equal(ChatFinishReason.ToolCalls, called.FinishReason);
        Assert.Equal("Oslo", City(called.ToolCalls[0].FunctionArguments));
        messages.AddRange([new AssistantChatMessage(called), new ToolChatMessage(called.ToolCalls[0].Id, "Rain, 7 degrees.")]);
        ChatCompletion answer = await Chat.CompleteChatAsync(messages, options, Cancel);

        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.NotEmpty(answer.Content[0].Text);
    }

    [Fact]
    public async Task Tools_Streamed_GiveTheArgumentsInPieces()
    {
        var arguments = new StringBuilder();
        ChatFinishReason? reason = null;
        await foreach (var update in Chat.CompleteChatStreamingAsync(
            [new UserChatMessage("Weather in Oslo?")], new ChatCompletionOptions { Tools = { Weather } }, Cancel))
        {
            arguments.AppendJoin("", update.ToolCallUpdates.Select(call => call.FunctionArgumentsUpdate.ToString()));
            reason = update.FinishReason ?? reason;
        }

        Assert.Equal(ChatFinishReason.ToolCalls, reason);
        Assert.Equal("Oslo", City(BinaryData.FromString(arguments.ToString())));
    }

    [Fact]
    public async Task StructuredOutput_FitsTheSchema()
    {
        var schema = BinaryData.FromString(
            """
            {"type":"object","properties":{"pains":{"type":"array","items":{"type":"string"}}},
             "required":["pains"],"additionalProperties":false}
            """);
        var options = new ChatCompletionOptions { ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat(
            "pains", schema, jsonSchemaIsStrict: true) };

        ChatCompletion answer = await Chat.CompleteChatAsync([new UserChatMessage(Question)], options, Cancel);

        using var parsed = JsonDocument.Parse(answer.Content[0].Text);
        Assert.NotEqual(0, parsed.RootElement.GetProperty("pains").GetArrayLength());
    }

    [Fact]
    public async Task Embeddings_OfTwoTexts_AreTwoVectors()
    {
        var vectors = await Client(_gateway).GetEmbeddingClient(SimulatorServer.Model)
            .GenerateEmbeddingsAsync(["tea", "coffee"], cancellationToken: Cancel);

        Assert.Equal([1_024, 1_024], vectors.Value.Select(vector => vector.ToFloats().Length));
    }

    [Fact]
    public async Task Cancel_InTheMiddleOfAStream_ReachesTheReplica()
    {
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        using var slow = SimulatorServer.Start(("ZeroDelay", "false"), ("StepBaseMilliseconds", "200"));
        await using var gateway = await StartAsync(slow);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in Client(gateway).GetChatClient(SimulatorServer.Model)
                .CompleteChatStreamingAsync([new UserChatMessage(Question)], cancellationToken: leave.Token))
            {
                leave.CancelAfter(TimeSpan.FromMilliseconds(50)); // while it waits for the next one
            }
        });

        await ProxyHost.UntilAsync(async () => await slow.MetricAsync("vllm:request_success_total", Aborted) > 0);
    }

    [Fact]
    public async Task Models_AreListed()
    {
        var models = await Client(_gateway).GetOpenAIModelClient().GetModelsAsync(Cancel);

        Assert.Contains(models.Value, model => model.Id == SimulatorServer.Model);
    }

    [Fact]
    public async Task UnknownModel_IsA404ThatNamesIt()
    {
        var failure = await Assert.ThrowsAsync<ClientResultException>(() =>
            Client(_gateway).GetChatClient("nobody/nothing").CompleteChatAsync([new UserChatMessage(Question)], cancellationToken: Cancel));

        Assert.Equal(404, failure.Status);
        Assert.Contains("nobody/nothing", failure.Message);
    }

    [Theory]
    [InlineData(429)]
    [InlineData(503)]
    public async Task RateLimitOrOverload_IsTold_AndTheNextRequestWaitsAsLongAsAsked(int status)
    {
        var started = Stopwatch.GetTimestamp();
        var impatient = Client(_gateway, new ClientRetryPolicy(maxRetries: 0), ("x-simulator-fault", $"status={status}; retry-after=2"));
        var failure = await Assert.ThrowsAsync<ClientResultException>(() => impatient.GetChatClient(SimulatorServer.Model)
            .CompleteChatAsync([new UserChatMessage(Question)], cancellationToken: Cancel));
        ChatCompletion answer = await Chat.CompleteChatAsync([new UserChatMessage(Question)], cancellationToken: Cancel);

        Assert.Equal(status, failure.Status);
        Assert.NotEmpty(answer.Content[0].Text);
        // Not before the two seconds are over; a client that asks again at once is refused again, one that did not wait would be told.
        Assert.True(Stopwatch.GetElapsedTime(started) > TimeSpan.FromSeconds(1.9));
    }

    private static string? City(BinaryData arguments) => JsonDocument.Parse(arguments).RootElement.GetProperty("city").GetString();

    private async Task<Gateway> StartAsync(SimulatorServer simulator)
    {
        var proxy = ProxyHost.Start([simulator.Address.OriginalString], ("Inference:DefaultModel", SimulatorServer.Model));
        await ProxyHost.UntilAsync(async () => (await proxy.ReplicaAsync(0)).GetProperty("state").GetString() == "up");
        return new Gateway(proxy, throughApi ? new ApiHost(proxy.Client.BaseAddress!.ToString().TrimEnd('/')) : null);
    }

    private static OpenAIClient Client(Gateway gateway, ClientRetryPolicy? retries = null, params (string Name, string Value)[] headers)
    {
        var options = new OpenAIClientOptions { Endpoint = new Uri(gateway.Address, "/v1") };
        options.RetryPolicy = retries ?? options.RetryPolicy;
        foreach (var (name, value) in headers)
            options.AddPolicy(new HeaderPolicy(name, value), PipelinePosition.PerCall);

        return new OpenAIClient(new ApiKeyCredential(gateway.Key), options);
    }

    /// <summary>What clients point at: base address and key are all that differs.</summary>
    private sealed class Gateway(ProxyHost proxy, ApiHost? api) : IAsyncDisposable
    {
        public Uri Address => api?.Address ?? proxy.Client.BaseAddress!;

        public string Key => api is null ? "none" : ApiHost.Key;

        public async ValueTask DisposeAsync()
        {
            if (api is not null)
                await api.DisposeAsync();
            await proxy.DisposeAsync();
        }
    }

    private sealed class HeaderPolicy(string name, string value) : PipelinePolicy
    {
        public override void Process(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
        {
            message.Request.Headers.Set(name, value);
            ProcessNext(message, pipeline, currentIndex);
        }

        public override ValueTask ProcessAsync(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
        {
            message.Request.Headers.Set(name, value);
            return ProcessNextAsync(message, pipeline, currentIndex);
        }
    }
}
