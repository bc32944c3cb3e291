using System.ClientModel;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using OpenAI;
using OpenAI.Chat;

namespace ValueCanvas.Tests.InferenceProxy;

public sealed class AnthropicTests
{
    private const string Key = "anthropic-key-0123456789";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Request_Everything_BecomesAMessagesRequest()
    {
        await using var provider = await FakeReplica.StartAsync(context => AnswerAsync(context, TextAnswer));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync("""
            {
              "model": "claude", "max_completion_tokens": 300, "temperature": 1.5, "top_p": 0.9,
              "stop": ["END", " "], "user": "u-1", "seed": 3,
              "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "Answer in German."}]},
                {"role": "user", "content": [
                  {"type": "text", "text": "What is this?"},
                  {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                  {"type": "image_url", "image_url": {"url": "https://example.org/cat.png", "detail": "low"}}]},
                {"role": "assistant", "content": null, "tool_calls": [
                  {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"cat\"}"}},
                  {"id": "call_2", "type": "function", "function": {"name": "listen", "arguments": ""}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": "a cat"},
                {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "purr"}]},
                {"role": "user", "content": "And now?"}],
              "tools": [
                {"type": "function", "function": {
                  "name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}},
                {"type": "function", "function": {"name": "listen"}}],
              "tool_choice": "required", "parallel_tool_calls": false
            }
            """);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var received = Assert.Single(provider.Received);
        Assert.Equal("/v1/messages", received.Path);
        Assert.Equal(Key, received.Headers["x-api-key"]);
        Assert.Equal("2023-06-01", received.Headers["anthropic-version"]);
        Assert.False(received.Headers.ContainsKey("Authorization"));
        AssertJson("""
            {
              "model": "claude-large", "max_tokens": 300, "temperature": 1, "top_p": 0.9,
              "stop_sequences": ["END"], "metadata": {"user_id": "u-1"},
              "system": "Be brief.\n\nAnswer in German.",
              "messages": [
                {"role": "user", "content": [
                  {"type": "text", "text": "What is this?"},
                  {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                  {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}}]},
                {"role": "assistant", "content": [
                  {"type": "tool_use", "id": "call_1", "name": "look", "input": {"at": "cat"}},
                  {"type": "tool_use", "id": "call_2", "name": "listen", "input": {}}]},
                {"role": "user", "content": [
                  {"type": "tool_result", "tool_use_id": "call_1", "content": "a cat"},
                  {"type": "tool_result", "tool_use_id": "call_2", "content": "purr"},
                  {"type": "text", "text": "And now?"}]}],
              "tools": [
                {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}},
                {"name": "listen", "input_schema": {"type": "object", "properties": {}}}],
              "tool_choice": {"type": "any", "disable_parallel_tool_use": true}
            }
            """, received.Text);
    }

    [Theory]
    [InlineData("""{"tool_choice":"auto"}""", """{"type":"auto"}""")]
    [InlineData("""{"tool_choice":"none"}""", """{"type":"none"}""")]
    [InlineData("""{"tool_choice":{"type":"function","function":{"name":"look"}}}""", """{"type":"tool","name":"look"}""")]
    [InlineData("""{"parallel_tool_calls":false}""", """{"type":"auto","disable_parallel_tool_use":true}""")]
    public async Task Request_ToolChoice_IsTranslated(string extra, string expected)
    {
        await using var provider = await FakeReplica.StartAsync(context => AnswerAsync(context, TextAnswer));
        await using var proxy = Start(provider);
        var body = JsonNode.Parse(
            """{"model":"claude","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"look"}}]}""")!;
        foreach (var (name, value) in JsonNode.Parse(extra)!.AsObject())
            body[name] = value?.DeepClone();

        using var response = await proxy.PostAsync(body.ToJsonString());

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using var sent = JsonDocument.Parse(Assert.Single(provider.Received).Body);
        AssertJson(expected, sent.RootElement.GetProperty("tool_choice").GetRawText());
        Assert.True(sent.RootElement.GetProperty("max_tokens").GetInt32() > 0);
    }

    [Theory]
    [InlineData("""{"model":"claude"}""", "messages")]
    [InlineData("""{"model":"claude","messages":[{"role":"robot","content":"Hi"}]}""", "messages")]
    [InlineData("""{"model":"claude","messages":[{"role":"tool","content":"Hi"}]}""", "messages")]
    [InlineData("""{"model":"claude","messages":[{"role":"user","content":[{"type":"input_audio"}]}]}""", "messages")]
    [InlineData(
        """{"model":"claude","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,abc"}}]}]}""",
        "messages")]
    [InlineData(
        """{"model":"claude","messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}}]}]}""",
        "messages")]
    [InlineData("""{"model":"claude","messages":[],"n":2}""", "n")]
    [InlineData("""{"model":"claude","messages":[7,{"role":"user","content":"\ud800"}]}""", "messages")]
    [InlineData("""{"model":"claude","messages":[{"role":"user","content":"\ud800"}]}""", null)]
    [InlineData("""{"model":"claude","messages":[],"tools":[{"type":"custom"}]}""", "tools")]
    public async Task Request_ThatCannotBeTranslated_Is400ThatNamesTheField(string body, string? param)
    {
        await using var provider = await FakeReplica.StartAsync(context => AnswerAsync(context, TextAnswer));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(param, (await response.ErrorAsync()).GetProperty("param").GetString());
        Assert.Empty(provider.Received);
    }

    [Fact]
    public async Task Request_Embeddings_Is400BeforeItIsSent()
    {
        await using var provider = await FakeReplica.StartAsync(context => AnswerAsync(context, TextAnswer));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync("""{"model":"claude","input":"x"}""", "/v1/embeddings");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("unsupported_operation", (await response.ErrorAsync()).GetProperty("code").GetString());
        Assert.Empty(provider.Received);
    }

    [Fact]
    public async Task Answer_Text_BecomesACompletionWithAllOfItsTokens()
    {
        await using var provider = await FakeReplica.StartAsync(context => AnswerAsync(context, TextAnswer));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(Ask);

        Assert.Equal("anthropic", response.Headers.GetValues("x-valuecanvas-provider").Single());
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))!.AsObject();
        Assert.True(answer.Remove("created"));
        AssertJson("""
            {
              "id": "msg_01", "object": "chat.completion", "model": "claude-large-20260101",
              "choices": [{
                "index": 0, "message": {"role": "assistant", "content": "Grüß Gott.", "refusal": null},
                "logprobs": null, "finish_reason": "stop"}],
              "usage": {
                "prompt_tokens": 111, "completion_tokens": 7, "total_tokens": 118,
                "prompt_tokens_details": {"cached_tokens": 90, "cache_write_tokens": 9}}
            }
            """, answer.ToJsonString());
    }

    [Fact]
    public async Task Answer_ToolUseAndThinking_BecomesToolCallsAndReasoning()
    {
        await using var provider = await FakeReplica.StartAsync(context => AnswerAsync(context, """
            {"id":"msg_02","type":"message","role":"assistant","model":"c","content":[
              {"type":"thinking","thinking":"Hm.","signature":"s"},
              {"type":"tool_use","id":"toolu_1","name":"look","input":{"at":"cat"}}],
             "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":9}}
            """));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(Ask);

        using var answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancel));
        AssertJson("""
            {"index": 0, "message": {"role": "assistant", "content": null, "refusal": null, "reasoning": "Hm.", "tool_calls": [
              {"id": "toolu_1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"cat\"}"}}]},
             "logprobs": null, "finish_reason": "tool_calls"}
            """, answer.RootElement.GetProperty("choices")[0].GetRawText());
    }

    [Theory]
    [InlineData("end_turn", "stop")]
    [InlineData("stop_sequence", "stop")]
    [InlineData("pause_turn", "stop")]
    [InlineData("max_tokens", "length")]
    [InlineData("model_context_window_exceeded", "length")]
    [InlineData("refusal", "content_filter")]
    public async Task Answer_StopReason_BecomesTheFinishReason(string reason, string expected)
    {
        await using var provider = await FakeReplica.StartAsync(
            context => AnswerAsync(context, TextAnswer.Replace("end_turn", reason, StringComparison.Ordinal)));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(Ask);

        using var answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancel));
        Assert.Equal(expected, answer.RootElement.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Stream_TextThinkingAndTools_BecomesChunks(bool withUsage)
    {
        await using var provider = await FakeReplica.StartAsync(context => StreamAsync(context, ToolStream));
        await using var proxy = Start(provider);

        var options = withUsage ? "\"stream_options\":{\"include_usage\":true}," : "";
        using var response = await proxy.PostAsync(
            $$"""{"model":"claude","stream":true,{{options}}"messages":[{"role":"user","content":"Hi"}]}""");

        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        var text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.EndsWith("data: [DONE]\n\n", text);
        var chunks = Chunks(text);
        Assert.All(chunks, c => Assert.Equal("msg_03", c.GetProperty("id").GetString()));
        Assert.All(chunks, c => Assert.Equal("chat.completion.chunk", c.GetProperty("object").GetString()));
        Assert.Equal(
            [
                """{"role":"assistant","content":""}""",
                """{"reasoning":"Let me see."}""",
                """{"content":"I "}""",
                """{"content":"look."}""",
                """{"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"look","arguments":""}}]}""",
                """{"tool_calls":[{"index":0,"function":{"arguments":"{\"at\":"}}]}""",
                """{"tool_calls":[{"index":0,"function":{"arguments":"\"cat\"}"}}]}""",
                """{"tool_calls":[{"index":1,"id":"toolu_2","type":"function","function":{"name":"listen","arguments":""}}]}""",
                """{}""",
            ],
            chunks.Where(c => c.GetProperty("choices").GetArrayLength() > 0)
                .Select(c => c.GetProperty("choices")[0].GetProperty("delta").GetRawText()));
        Assert.Equal("tool_calls", chunks.Last(c => c.GetProperty("choices").GetArrayLength() > 0).GetProperty("choices")[0]
            .GetProperty("finish_reason").GetString());
        var usage = chunks.Where(c => c.TryGetProperty("usage", out var u) && u.ValueKind == JsonValueKind.Object)
            .Select(c => c.GetProperty("usage")).ToArray();
        if (!withUsage)
        {
            Assert.DoesNotContain(chunks, c => c.TryGetProperty("usage", out _));
            return;
        }

        AssertJson(
            """{"prompt_tokens":25,"completion_tokens":31,"total_tokens":56"""
            + ""","prompt_tokens_details":{"cached_tokens":20,"cache_write_tokens":0}}""",
            Assert.Single(usage).GetRawText());
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
    }

    [Fact]
    public async Task Stream_ErrorAfterContent_IsAnErrorEventAndNoCleanEnd()
    {
        var cut = ToolStream[..ToolStream.IndexOf(
            "event: content_block_stop", ToolStream.IndexOf("look.", StringComparison.Ordinal), StringComparison.Ordinal)];
        await using var provider = await FakeReplica.StartAsync(context => StreamAsync(context,
            cut + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(Ask.Replace("\"claude\"", "\"claude\",\"stream\":true", StringComparison.Ordinal));

        var text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.Contains("look.", text);
        Assert.Contains("\"code\":\"overloaded_error\"", text);
        Assert.DoesNotContain("[DONE]", text);
    }

    [Fact]
    public async Task Stream_CutInTheMiddle_IsAnErrorEventAndNoCleanEnd()
    {
        var cut = ToolStream[..ToolStream.IndexOf("event: message_delta", StringComparison.Ordinal)];
        await using var provider = await FakeReplica.StartAsync(context => StreamAsync(context, cut));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(Ask.Replace("\"claude\"", "\"claude\",\"stream\":true", StringComparison.Ordinal));

        var text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.Contains("stream_interrupted", text);
        Assert.DoesNotContain("[DONE]", text);
    }

    [Theory]
    [InlineData(400, "invalid_request_error", 400, "invalid_request_error", "invalid_request_error")]
    [InlineData(404, "not_found_error", 404, "invalid_request_error", "model_not_found")]
    [InlineData(429, "rate_limit_error", 429, "rate_limit_error", "rate_limit_exceeded")]
    [InlineData(401, "authentication_error", 502, "server_error", "upstream_credentials_exhausted")]
    public async Task Error_OfTheProvider_BecomesAnOpenAiError(
        int status, string type, int expectedStatus, string expectedType, string expectedCode)
    {
        await using var provider = await FakeReplica.StartAsync(async context =>
        {
            context.Response.StatusCode = status;
            await AnswerAsync(
                context,
                $$$"""{"type":"error","error":{"type":"{{{type}}}","message":"what went wrong"},"request_id":"req_1"}""");
        });
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(Ask);

        Assert.Equal(expectedStatus, (int)response.StatusCode);
        var error = await response.ErrorAsync();
        Assert.Equal(expectedType, error.GetProperty("type").GetString());
        Assert.Equal(expectedCode, error.GetProperty("code").GetString());
        if (status != 401)
            Assert.Equal("what went wrong", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task Error_Overloaded_IsA503()
    {
        await using var provider = await FakeReplica.StartAsync(async context =>
        {
            context.Response.StatusCode = 529;
            await AnswerAsync(context, """{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}""");
        });
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(Ask);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
    }

    [Fact]
    public async Task OfficialOpenAiClient_StreamsTextToolsAndUsage()
    {
        await using var provider = await FakeReplica.StartAsync(context => StreamAsync(context, ToolStream));
        await using var proxy = Start(provider);
        var client = new OpenAIClient(
            new ApiKeyCredential("caller"), new OpenAIClientOptions { Endpoint = new Uri(proxy.Client.BaseAddress!, "/v1") });
        var (text, arguments, names, finish, tokens) = (new StringBuilder(), new StringBuilder(), new List<string>(), default(
            ChatFinishReason?), 0);

        await foreach (var update in client.GetChatClient("claude")
            .CompleteChatStreamingAsync([new UserChatMessage("Hi")], cancellationToken: Cancel))
        {
            text.Append(string.Concat(update.ContentUpdate.Select(part => part.Text)));
            names.AddRange(update.ToolCallUpdates.Select(call => call.FunctionName).Where(name => !string.IsNullOrEmpty(name)));
            arguments.Append(string.Concat(update.ToolCallUpdates.Select(call => call.FunctionArgumentsUpdate?.ToString())));
            finish = update.FinishReason ?? finish;
            tokens = update.Usage?.TotalTokenCount ?? tokens;
        }

        Assert.Equal(("I look.", """{"at":"cat"}"""), (text.ToString(), arguments.ToString()));
        Assert.Equal(["look", "listen"], names);
        Assert.Equal((ChatFinishReason.ToolCalls, 56), (finish, tokens));
    }

    private const string Ask = """{"model":"claude","messages":[{"role":"user","content":"Hi"}]}""";

    private const string TextAnswer = """
        {"id":"msg_01","type":"message","role":"assistant","model":"claude-large-20260101",
        "content":[{"type":"text","text":"Grüß "},{"type":"text","text":"Gott."}],
         "stop_reason":"end_turn","stop_sequence":null,
         "usage":{"input_tokens":12,"cache_creation_input_tokens":9,"cache_read_input_tokens":90,
         "output_tokens":7,"service_tier":"standard"}}
        """;

    private const string ToolStream = """
        event: message_start
        data: {"type":"message_start","message":{"id":"msg_03","type":"message","role":"assistant","model":"claude-large-20260101","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":20,"output_tokens":1}}}

        event: content_block_start
        data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

        event: ping
        data: {"type": "ping"}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me see."}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"abc"}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":0}

        event: content_block_start
        data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"I "}}

        event: ping
        data: {"type": "ping"}

        event: content_block_delta
        data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"look."}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":1}

        event: content_block_start
        data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"look","input":{}}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"at\":"}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"\"cat\"}"}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":2}

        event: content_block_start
        data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"listen","input":{}}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":3}

        event: message_delta
        data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":31}}

        event: message_stop
        data: {"type":"message_stop"}


        """;

    private static ProxyHost Start(FakeReplica provider) => ProxyHost.Start([],
        ("Inference:Providers:anthropic:Endpoints:0", provider.Address),
        ("Inference:Providers:anthropic:ApiKeys:0", Key),
        ("Inference:Models:claude:Targets:0", "anthropic/claude-large"));

    private static Task AnswerAsync(HttpContext context, string json)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(json, context.RequestAborted);
    }

    /// <summary>In pieces that respect no event's border.</summary>
    private static async Task StreamAsync(HttpContext context, string events)
    {
        context.Response.ContentType = "text/event-stream; charset=utf-8";
        foreach (var piece in Encoding.UTF8.GetBytes(events).Chunk(97))
        {
            await context.Response.Body.WriteAsync(piece, context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
        }
    }

    private static JsonElement[] Chunks(string stream) =>
    [
        .. stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)
            .Where(e => e.StartsWith("data: {", StringComparison.Ordinal))
            .Select(e => JsonDocument.Parse(e["data: ".Length..]).RootElement.Clone()),
    ];

    private static void AssertJson(string expected, string actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(actual)), $"expected {expected}\nbut got {actual}");
}
