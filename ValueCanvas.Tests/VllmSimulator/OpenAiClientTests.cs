using System.ClientModel;
using System.Text;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;

namespace ValueCanvas.Tests.VllmSimulator;

/// <summary>OpenAI's own .NET client against the simulator.</summary>
public sealed class OpenAiClientTests : IDisposable
{
    private readonly SimulatorServer _server = SimulatorServer.Start();
    private readonly OpenAIClient _client;

    public OpenAiClientTests() =>
        _client = new OpenAIClient(new ApiKeyCredential("none"), new OpenAIClientOptions { Endpoint = new Uri(_server.Address, "/v1") });

    public void Dispose() => _server.Dispose();

    private ChatClient Chat => _client.GetChatClient(SimulatorServer.Model);

    [Fact]
    public async Task CompleteChat_AnswersWithUsage()
    {
        ChatCompletion answer =
            await Chat.CompleteChatAsync([new UserChatMessage("Tell me about tea.")],
            cancellationToken: TestContext.Current.CancellationToken);

        Assert.Contains("tea", answer.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.True(answer.Usage.InputTokenCount > 0 && answer.Usage.OutputTokenCount > 0);
    }

    [Fact]
    public async Task CompleteChatStreaming_GivesTheSameText()
    {
        ChatCompletion whole =
            await Chat.CompleteChatAsync([new UserChatMessage("Tell me about tea.")],
            cancellationToken: TestContext.Current.CancellationToken);
        var text = new StringBuilder();
        ChatTokenUsage? usage = null;
        await foreach (var update in Chat.CompleteChatStreamingAsync([new UserChatMessage("Tell me about tea.")],
            cancellationToken: TestContext.Current.CancellationToken))
        {
            foreach (var part in update.ContentUpdate)
                text.Append(part.Text);
            usage = update.Usage ?? usage;
        }

        Assert.Equal(whole.Content[0].Text, text.ToString());
        Assert.Equal(whole.Usage.OutputTokenCount, usage!.OutputTokenCount);
    }

    [Fact]
    public async Task CompleteChat_WithTools_CallsOne()
    {
        var options = new ChatCompletionOptions
        {
            Tools = { ChatTool.CreateFunctionTool("get_weather", "Weather",
                BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}""")) },
        };

        ChatCompletion answer =
            await Chat.CompleteChatAsync([new UserChatMessage("Weather in Oslo?")], options, TestContext.Current.CancellationToken);

        Assert.Equal(ChatFinishReason.ToolCalls, answer.FinishReason);
        Assert.Equal("Oslo", JsonDocument.Parse(answer.ToolCalls[0].FunctionArguments).RootElement.GetProperty("city").GetString());
    }

    [Fact]
    public async Task CompleteChat_WithSchema_GivesJson()
    {
        var options = new ChatCompletionOptions
        {
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat(
                "pains",
                BinaryData.FromString(
                    """
                    {"type":"object","properties":{"pains":{"type":"array","items":{"type":"string"}}},
                     "required":["pains"],"additionalProperties":false}
                    """),
                jsonSchemaIsStrict: true),
        };

        ChatCompletion answer =
            await Chat.CompleteChatAsync([new UserChatMessage("A bakery app against waste.")], options,
            TestContext.Current.CancellationToken);

        Assert.InRange(JsonDocument.Parse(answer.Content[0].Text).RootElement.GetProperty("pains").GetArrayLength(), 3, 5);
    }

    [Fact]
    public async Task GenerateEmbedding_GivesAVector()
    {
        var embedding = await _client.GetEmbeddingClient(SimulatorServer.Model)
            .GenerateEmbeddingAsync("Some text", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(1_024, embedding.Value.ToFloats().Length);
    }

    [Fact]
    public async Task CompleteChat_UnknownModel_FailsWith404()
    {
        var failure = await Assert.ThrowsAsync<ClientResultException>(() =>
            _client.GetChatClient("nobody/nothing")
                .CompleteChatAsync([new UserChatMessage("Hi")], cancellationToken: TestContext.Current.CancellationToken));

        Assert.Equal(404, failure.Status);
    }
}
