using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy.Messages;

/// <summary>Anthropic's Messages API in front of servers that speak OpenAI's.</summary>
public sealed class MessagesTests
{
    private const string Ask = """{"model":"small-model","max_tokens":99,"messages":[{"role":"user","content":"Hi"}]}""";
    private const string AskStream =
        """{"model":"small-model","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"Hi"}]}""";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Answer_ReasoningTextAndCalls_BecomeBlocks()
    {
        await using var replica = await FakeReplica.StartAsync(context => AnswerAsync(context, """
            {"id":"chatcmpl-1","object":"chat.completion","model":"small-model","choices":[{"index":0,"message":{"role":"assistant",
              "reasoning":"Hm.","content":"I look.","tool_calls":[
                {"id":"c1","type":"function","function":{"name":"look","arguments":"{\"at\":\"cat\"}"}},
                {"id":"c2","type":"function","function":{"name":"listen","arguments":""}},
                {"id":"c3","type":"function","function":{"name":"look","arguments":"{\"at\":"}}]},
              "finish_reason":"stop"}],
             "usage":{"prompt_tokens":50,"completion_tokens":7,"total_tokens":57,"prompt_tokens_details":{"cached_tokens":32}}}
            """));
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(Ask, "/v1/messages");

        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("1", response.Headers.GetValues("x-valuecanvas-attempts").Single());
        Assert.StartsWith("req_", response.Headers.GetValues("request-id").Single());
        AssertJson("""
            {"id":"msg_1","type":"message","role":"assistant","model":"small-model","content":[
              {"type":"thinking","thinking":"Hm.","signature":""},
              {"type":"text","text":"I look."},
              {"type":"tool_use","id":"c1","name":"look","input":{"at":"cat"}},
              {"type":"tool_use","id":"c2","name":"listen","input":{}},
              {"type":"tool_use","id":"c3","name":"look","input":{"_invalid_json":"{\"at\":"}}],
             "stop_reason":"tool_use","stop_sequence":null,
             "usage":{"input_tokens":18,"cache_creation_input_tokens":0,"cache_read_input_tokens":32,"output_tokens":7}}
            """, await response.Content.ReadAsStringAsync(Cancel));
    }

    [Theory]
    [InlineData("\"finish_reason\":\"stop\"", "end_turn", null)]
    [InlineData("\"finish_reason\":\"stop\",\"stop_reason\":\"END\"", "stop_sequence", "END")]
    [InlineData("\"finish_reason\":\"stop\",\"stop_reason\":128009", "end_turn", null)]
    [InlineData("\"finish_reason\":\"length\"", "max_tokens", null)]
    [InlineData("\"finish_reason\":\"content_filter\"", "refusal", null)]
    public async Task Answer_FinishReason_BecomesTheStopReason(string end, string reason, string? sequence)
    {
        await using var replica = await FakeReplica.StartAsync(context =>
            AnswerAsync(context, $$$"""{"id":"x","model":"m","choices":[{"index":0,"message":{"content":"Hi"},{{{end}}}}]}"""));
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(Ask, "/v1/messages");

        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!;
        Assert.Equal(reason, (string?)answer["stop_reason"]);
        Assert.Equal(sequence, (string?)answer["stop_sequence"]);
    }

    [Fact]
    public async Task Stream_ReasoningTextAndCalls_BecomeEventsOfBlocks()
    {
        string[] deltas =
        [
            """{"role":"assistant","content":""}""", """{"reasoning":"Hm."}""", """{"content":"I "}""", """{"content":"look."}""",
            """{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"look","arguments":""}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"{\"at\":"}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}""",
            """{"tool_calls":[{"index":0,"id":"c2","type":"function","function":{"name":"listen","arguments":"{}"}}]}""",
        ];
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            foreach (var delta in deltas)
                await FakeReplica.EventAsync(context, Chunk($$"""{"index":0,"delta":{{delta}},"finish_reason":null}"""));

            await FakeReplica.EventAsync(context, Chunk("""{"index":0,"delta":{},"finish_reason":"tool_calls"}"""));
            await FakeReplica.EventAsync(
                context, """{"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}""");
            await FakeReplica.EventAsync(context, "[DONE]");
        });
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(AskStream, "/v1/messages");

        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal(
            string.Join(
                '\n',
                """{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[]"""
                + ""","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0"""
                + ""","cache_read_input_tokens":0,"output_tokens":0}}}""",
                """
                {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
                {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}
                {"type":"content_block_stop","index":0}
                {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}
                {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"I "}}
                {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"look."}}
                {"type":"content_block_stop","index":1}
                {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"c1","name":"look","input":{}}}
                {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"at\":"}}
                {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}
                {"type":"content_block_stop","index":2}
                {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"c2","name":"listen","input":{}}}
                {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{}"}}
                {"type":"content_block_stop","index":3}
                """,
                """{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":9"""
                + ""","cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":5}}""",
                """{"type":"message_stop"}"""),
            string.Join('\n', Events(await response.Content.ReadAsStringAsync(Cancel))));
        var asked = JsonNode.Parse(Assert.Single(replica.Received).Body)!;
        Assert.True((bool)asked["stream_options"]!["include_usage"]!);
    }

    [Fact]
    public async Task Stream_CutBehindContent_EndsInAnErrorEventAndNoStop()
    {
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            await FakeReplica.EventAsync(context, Chunk("""{"index":0,"delta":{"content":"Hel"},"finish_reason":null}"""));
            throw new InvalidOperationException("the server dies"); // Kestrel closes without ending the body
        });
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(AskStream, "/v1/messages");

        var text = await response.Content.ReadAsStringAsync(Cancel);
        var error = JsonNode.Parse(Events(text)[^1])!;
        Assert.Equal("error", (string?)error["type"]);
        Assert.Equal("api_error", (string?)error["error"]!["type"]);
        Assert.Equal(response.Headers.GetValues("request-id").Single(), (string?)error["request_id"]);
        Assert.DoesNotContain("message_stop", text);
    }

    [Fact]
    public async Task Stream_FirstReplicaFailsBeforeContent_IsTheOtherOnes()
    {
        await using var broken = await FakeReplica.StartAsync(async context =>
        {
            await FakeReplica.EventAsync(context, Chunk("""{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}"""));
            throw new InvalidOperationException("the server dies"); // Kestrel closes without ending the body
        });
        await using var whole = await FakeReplica.StartAsync(FakeReplica.StreamAsync);
        await using var proxy = ProxyHost.Start([broken.Address, whole.Address], ("Inference:Routing:Policy", "round-robin"));

        for (var i = 0; i < 2; i++)
        {
            using var response = await proxy.PostAsync(AskStream, "/v1/messages");

            var events = Events(await response.Content.ReadAsStringAsync(Cancel));
            Assert.Single(events, e => e.Contains("message_start", StringComparison.Ordinal));
            Assert.Contains("hello", string.Concat(events));
            Assert.Equal("""{"type":"message_stop"}""", events[^1]);
        }

        Assert.NotEmpty(broken.Received);
    }

    [Fact]
    public async Task Stream_SlowFirstToken_IsKeptAliveByPings()
    {
        var pinged = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            await pinged.Task.WaitAsync(context.RequestAborted);
            await FakeReplica.StreamAsync(context);
        });
        await using var proxy = ProxyHost.Start(replica, ("Inference:KeepAlive", "00:00:00.2"));

        using var response = await proxy.PostAsync(AskStream, "/v1/messages");
        pinged.SetResult();

        var text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.StartsWith("event: ping\ndata: {\"type\":\"ping\"}\n\n", text);
        Assert.Contains(": x-valuecanvas-target: ", text);
        Assert.Contains("message_stop", text);
    }

    [Theory]
    [InlineData(400, 400, "invalid_request_error")]
    [InlineData(404, 404, "not_found_error")]
    [InlineData(413, 413, "request_too_large")]
    [InlineData(422, 422, "invalid_request_error")]
    [InlineData(429, 429, "rate_limit_error")]
    [InlineData(500, 500, "api_error")]
    [InlineData(503, 529, "overloaded_error")]
    public async Task Error_OfAServer_HasAnthropicsShape(int status, int expected, string type)
    {
        await using var replica = await FakeReplica.StartAsync(context =>
        {
            context.Response.StatusCode = status;
            return AnswerAsync(context, """{"error":{"message":"Not \"so\".","type":"x","param":null,"code":null}}""");
        });
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(Ask, "/v1/messages");

        Assert.Equal(expected, (int)response.StatusCode);
        await AssertErrorAsync(response, type, "Not \"so\".");
    }

    [Theory]
    [InlineData("POST", "/v1/messages", "{", 400, "invalid_request_error")]
    [InlineData("POST", "/v1/messages", "{\"model\":\"small-model\"}", 400, "invalid_request_error")]
    [InlineData("POST", "/v1/messages", "{\"model\":\"none\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}", 404,
        "not_found_error")]
    [InlineData("GET", "/v1/messages", null, 405, "invalid_request_error")]
    [InlineData("DELETE", "/v1/messages/count_tokens", null, 405, "invalid_request_error")]
    [InlineData("POST", "/v1/messages/batches", "{}", 404, "not_found_error")]
    public async Task Error_OfTheProxy_HasAnthropicsShape(string method, string path, string? body, int status, string type)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica);
        await ProxyHost.UntilAsync(async () => (await proxy.ReplicaAsync(0)).GetProperty("state").GetString() == "up");
        using var request = new HttpRequestMessage(
            new HttpMethod(method), path) { Content = body is null ? null : new StringContent(body) };

        using var response = await proxy.Client.SendAsync(request, Cancel);

        Assert.Equal(status, (int)response.StatusCode);
        await AssertErrorAsync(response, type);
        Assert.Empty(replica.Received);
    }

    [Fact]
    public async Task Error_TooLarge_HasAnthropicsShape()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica, ("Inference:MaxBodyBytes", "2000"));

        using var response = await proxy.PostAsync(new string('x', 3000), "/v1/messages");

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        await AssertErrorAsync(response, "request_too_large");
    }

    [Theory]
    [InlineData("""{"id":"x","choices":[]}""")]
    [InlineData("[]")]
    [InlineData("""{"id":"x","choices":[{"message":{"content":"\ud800"}}]}""")]
    [InlineData("nonsense")]
    public async Task Answer_ThatIsNoCompletion_Is502(string answer)
    {
        await using var replica = await FakeReplica.StartAsync(context => AnswerAsync(context, answer));
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(Ask, "/v1/messages");

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        await AssertErrorAsync(response, "api_error");
    }

    [Fact]
    public async Task Answer_ThatBreaksLate_Is502()
    {
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(
                $$"""{"choices":[{"message":{"content":"{{new string('x', 40_000)}}""", context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
            throw new InvalidOperationException("the server dies"); // Kestrel closes without ending the body
        });
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(Ask, "/v1/messages");

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        await AssertErrorAsync(response, "api_error");
    }

    private static string Chunk(string choice) =>
        $$"""{"id":"chatcmpl-1","object":"chat.completion.chunk","model":"m","choices":[{{choice}}]}""";

    private static async Task AnswerAsync(HttpContext context, string json)
    {
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(json, Encoding.UTF8, context.RequestAborted);
    }

    /// <summary>The data of a stream's events, each checked to bear the name of its type.</summary>
    private static List<string> Events(string stream)
    {
        var events = new List<string>();
        foreach (var lines in stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(e => e.Split('\n')))
        {
            Assert.Equal(2, lines.Length);
            var data = lines[1]["data: ".Length..];
            Assert.Equal($"event: {(string?)JsonNode.Parse(data)!["type"]}", lines[0]);
            events.Add(data);
        }

        return events;
    }

    private static async Task AssertErrorAsync(HttpResponseMessage response, string type, string? message = null)
    {
        var body = JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!;
        Assert.Equal("error", (string?)body["type"]);
        Assert.Equal(type, (string?)body["error"]!["type"]);
        Assert.Equal(message ?? (string?)body["error"]!["message"], (string?)body["error"]!["message"]);
        Assert.False(string.IsNullOrEmpty((string?)body["error"]!["message"]));
        Assert.Equal(response.Headers.GetValues("request-id").Single(), (string?)body["request_id"]);
    }

    private static void AssertJson(string expected, string actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), $"expected {expected}\nbut got {actual}");
}
