using System.Text.Json;

namespace ValueCanvas.Tests.VllmSimulator;

/// <summary>Fields, nulls and order as vLLM's serving code writes them.</summary>
public sealed class WireFormatTests : IDisposable
{
    private readonly SimulatorServer _server = SimulatorServer.Start();

    public void Dispose() => _server.Dispose();

    [Fact]
    public async Task ChatStream_ChunksHaveVllmsFields()
    {
        var events = await ChunksAsync("/v1/chat/completions", new
        {
            messages = SimulatorServer.User("Hi"), max_tokens = 4, stream = true, stream_options = new { include_usage = true },
        });

        Assert.Equal(["id", "object", "created", "model", "choices", "prompt_token_ids"], Names(events[0]));
        Assert.Equal("""{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}""",
            events[0].GetProperty("choices")[0].GetRawText());
        Assert.Equal(["id", "object", "created", "model", "choices"], Names(events[1]));
        Assert.Equal(["index", "delta", "logprobs", "finish_reason", "token_ids"], Names(events[1].GetProperty("choices")[0]));
        Assert.Equal(["index", "delta", "logprobs", "finish_reason", "stop_reason", "token_ids"],
            Names(events[^2].GetProperty("choices")[0]));
        Assert.Equal(["id", "object", "created", "model", "choices", "usage"], Names(events[^1]));
        Assert.Equal(["prompt_tokens", "total_tokens", "completion_tokens"], Names(events[^1].GetProperty("usage")));
    }

    [Fact]
    public async Task CompletionStream_ChunksHaveTheirNulls()
    {
        var events = await ChunksAsync("/v1/completions", new
        {
            prompt = "Hi", max_tokens = 3, stream = true, stream_options = new { include_usage = true },
        });

        Assert.All(events.SkipLast(1), chunk => Assert.Equal(JsonValueKind.Null, chunk.GetProperty("usage").ValueKind));
        Assert.Equal(["index", "text", "logprobs", "finish_reason", "stop_reason", "token_ids", "prompt_token_ids"],
            Names(events[0].GetProperty("choices")[0]));
        Assert.Equal(3, events[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal(0, events[^1].GetProperty("choices").GetArrayLength());
    }

    [Fact]
    public async Task ContinuousUsage_CountsEachChoiceByItself()
    {
        var events = await ChunksAsync("/v1/chat/completions", new
        {
            messages = SimulatorServer.User("Hi"), max_tokens = 5, n = 2, stream = true,
            stream_options = new { include_usage = true, continuous_usage_stats = true },
        });

        var most = events.SkipLast(1).GroupBy(chunk => chunk.GetProperty("choices")[0].GetProperty("index").GetInt32(),
            chunk => chunk.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.All(most, choice => Assert.Equal(5, choice.Max()));
        Assert.Equal(10, events[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task PromptTokensDetails_OnlyWhenEnabledAndCached()
    {
        using var silent = SimulatorServer.Start(("EnablePromptTokensDetails", "false"));
        var request = new { messages = SimulatorServer.User(string.Join(' ', Enumerable.Repeat("The same long text.", 30))) };
        foreach (var server in (SimulatorServer[])[_server, silent])
            await server.ChatAsync(request);

        var told = (await _server.ChatAsync(request)).GetProperty("usage").GetProperty("prompt_tokens_details");
        var untold = (await silent.ChatAsync(request)).GetProperty("usage").GetProperty("prompt_tokens_details");

        Assert.True(told.GetProperty("cached_tokens").GetInt32() > 0);
        Assert.Equal(JsonValueKind.Null, untold.ValueKind);
    }

    [Fact]
    public async Task StopTokenId_IsTheStopReasonAsANumber()
    {
        var whole = await _server.OkAsync("/v1/completions", new { prompt = "Hi", max_tokens = 6, return_token_ids = true });
        var stop = whole.GetProperty("choices")[0].GetProperty("token_ids")[3].GetInt32();
        var answer = await _server.OkAsync("/v1/completions", new { prompt = "Hi", max_tokens = 6, stop_token_ids = new[] { stop } });
        var choice = answer.GetProperty("choices")[0];

        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
        Assert.Equal(stop, choice.GetProperty("stop_reason").GetInt32());
    }

    private async Task<List<JsonElement>> ChunksAsync(string path, object body) =>
        [.. (await _server.EventsAsync(path, body)).Where(text => text != "[DONE]").Select(text => JsonDocument.Parse(text).RootElement)];

    private static string[] Names(JsonElement element) => [.. element.EnumerateObject().Select(property => property.Name)];
}
