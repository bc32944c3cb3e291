using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace ValueCanvas.Tests.InferenceProxy.Messages;

/// <summary>Messages requests at targets of different kinds: Anthropic's get and give what they would without the proxy.</summary>
public sealed class MessagesTargetTests
{
    private const string Ask = """
        {"model":"claude", "max_tokens":99,"thinking":{"type":"enabled","budget_tokens":2000},"messages":[
          {"role":"user","content":[{"type":"text","text":"Hi","cache_control":{"type":"ephemeral"}},
            {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA=="}}]},
          {"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"signed"},{"type":"text","text":"Yes?"}]},
          {"role":"user","content":"Go on."}]}
        """;

    private const string Message = """
        {"id":"msg_1","type":"message","role":"assistant","model":"claude-large",
         "content":[{"type":"thinking","thinking":"Hm.","signature":"signed"},{"type":"text","text":"Hi.","citations":null}],
         "stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":9,"service_tier":"standard"}}
        """;

    private const string Chat = """{"id":"x","model":"m","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}]}""";

    private const string Events = """
        event: message_start
        data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-large","content":[],"usage":{"input_tokens":5,"output_tokens":1}}}

        event: content_block_start
        data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

        event: ping
        data: {"type": "ping"}

        event: content_block_delta
        data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"signed"}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":0}

        event: content_block_start
        data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

        event: content_block_delta
        data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi."}}

        event: content_block_stop
        data: {"type":"content_block_stop","index":1}

        event: message_delta
        data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":31}}

        event: message_stop
        data: {"type":"message_stop"}


        """;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Anthropic_Request_IsTheClientsButForTheModelAndTheKey()
    {
        await using var provider = await FakeReplica.StartAsync(context => AnswerAsync(context, Message));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(Ask, "/v1/messages");

        var received = Assert.Single(provider.Received);
        Assert.Equal("/v1/messages", received.Path);
        Assert.Equal(Ask.Replace("\"claude\"", "\"claude-large\"", StringComparison.Ordinal), received.Text);
        Assert.Equal("anthropic-key-0123456789", received.Headers["x-api-key"]);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(Message), JsonNode.Parse(await response.Content.ReadAsStringAsync(Cancel))));
    }

    [Fact]
    public async Task Anthropic_Stream_IsItsOwnEventForEvent()
    {
        await using var provider = await FakeReplica.StartAsync(context => StreamAsync(context, Events));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(Ask.Replace("99,", "99,\"stream\":true,", StringComparison.Ordinal), "/v1/messages");

        Assert.Equal(Events, await response.Content.ReadAsStringAsync(Cancel));
    }

    [Fact]
    public async Task Anthropic_StreamThatIsCut_EndsInAnErrorEvent()
    {
        await using var provider = await FakeReplica.StartAsync(context =>
            StreamAsync(context, Events[..Events.IndexOf("event: message_delta", StringComparison.Ordinal)]));
        await using var proxy = Start(provider);

        using var response = await proxy.PostAsync(Ask.Replace("99,", "99,\"stream\":true,", StringComparison.Ordinal), "/v1/messages");

        var text = await response.Content.ReadAsStringAsync(Cancel);
        Assert.Contains("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\"", text);
        Assert.DoesNotContain("message_stop", text);
    }

    [Fact]
    public async Task Vllm_RequestThatOnlyAnthropicCanTake_Is400AndNotSent()
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(Ask.Replace("\"claude\"", "\"small-model\"", StringComparison.Ordinal), "/v1/messages");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("'document'", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Empty(replica.Received);
    }

    [Fact]
    public async Task CountTokens_Vllm_IsWhatItsTokenizerSays()
    {
        await using var replica = await FakeReplica.StartAsync(
            context => AnswerAsync(context, """{"count":17,"max_model_len":4096,"tokens":[1,2]}"""));
        await using var proxy = ProxyHost.Start(replica);

        using var response = await proxy.PostAsync(
            """{"model":"small-model","system":"Be brief.","messages":[{"role":"user","content":"Hi"}]}""", "/v1/messages/count_tokens");

        Assert.Equal("""{"input_tokens":17}""", await response.Content.ReadAsStringAsync(Cancel));
        var received = Assert.Single(replica.Received);
        Assert.Equal("/tokenize", received.Path);
        Assert.Equal("Be brief.", (string?)JsonNode.Parse(received.Body)!["messages"]![0]!["content"]);
    }

    [Fact]
    public async Task CountTokens_Anthropic_IsItsOwnAnswer()
    {
        await using var provider = await FakeReplica.StartAsync(context => AnswerAsync(context, """{"input_tokens":17}"""));
        await using var proxy = Start(provider);
        var asked =
            """{"model":"claude","messages":[{"role":"user","content":["""
            + """{"type":"text","text":"Hi","cache_control":{"type":"ephemeral"}}]}]}""";

        using var response = await proxy.PostAsync(asked, "/v1/messages/count_tokens");

        Assert.Equal("""{"input_tokens":17}""", await response.Content.ReadAsStringAsync(Cancel));
        var received = Assert.Single(provider.Received);
        Assert.Equal("/v1/messages/count_tokens", received.Path);
        Assert.Equal(asked.Replace("\"claude\"", "\"claude-large\"", StringComparison.Ordinal), received.Text);
    }

    [Fact]
    public async Task CountTokens_OfAProviderThatCannot_Is400AndNotSent()
    {
        await using var provider = await FakeReplica.StartAsync(FakeReplica.AnswerAsync);
        await using var proxy = ProxyHost.Start([],
            ("Inference:Providers:openai:Endpoints:0", provider.Address), ("Inference:Providers:openai:ApiKeys:0", "openai-key-0123456789"),
            ("Inference:Models:gpt:Targets:0", "openai/gpt-large"));

        using var response = await proxy.PostAsync(
            """{"model":"gpt","messages":[{"role":"user","content":"Hi"}]}""", "/v1/messages/count_tokens");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("cannot count tokens", await response.Content.ReadAsStringAsync(Cancel));
        Assert.Empty(provider.Received);
    }

    // OpenAI's newer models refuse max_tokens. A tool may have a property of that name, which stays.
    [Theory]
    [InlineData("openai", "max_completion_tokens", false)]
    [InlineData("openai", "max_completion_tokens", true)]
    [InlineData("together", "max_tokens", false)]
    public async Task Limit_HasTheNameThatTheProviderWants(string kind, string name, bool stream)
    {
        await using var provider = await FakeReplica.StartAsync(stream ? FakeReplica.StreamAsync : context => AnswerAsync(context, Chat));
        await using var proxy = ProxyHost.Start([],
            ($"Inference:Providers:{kind}:Endpoints:0", provider.Address), ($"Inference:Providers:{kind}:ApiKeys:0", "some-key-0123456789"),
            ("Inference:Models:gpt:Targets:0", $"{kind}/gpt-\u00e4-large"));

        using var response = await proxy.PostAsync($$$"""
            {"model":"gpt","max_tokens":99,{{{(stream ? "\"stream\":true," : "")}}}
             "messages":[{"role":"user","content":"\"max_tokens\":1"}],
             "tools":[{"name":"t","input_schema":{"type":"object","properties":{"max_tokens":{"type":"integer"} } } }]}
            """, "/v1/messages");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var sent = JsonNode.Parse(Assert.Single(provider.Received).Body)!.AsObject();
        Assert.Equal("gpt-\u00e4-large", (string?)sent["model"]);
        Assert.Equal(99, (int)sent[name]!);
        Assert.Single(sent, field => field.Key.StartsWith("max_", StringComparison.Ordinal));
        Assert.NotNull(sent["tools"]![0]!["function"]!["parameters"]!["properties"]!["max_tokens"]);
    }

    // As on the chat path: believed from callers of the house, and seen by no provider.
    [Theory]
    [InlineData("an-internal-key-of-the-house", "anthropic")]
    [InlineData(null, "vllm")]
    public async Task RiskLevel_ChoosesTheChainAndReachesNoProvider(string? key, string provider)
    {
        await using var anthropic = await FakeReplica.StartAsync(context => AnswerAsync(context, Message));
        await using var vllm = await FakeReplica.StartAsync(context => AnswerAsync(context, Chat));
        await using var proxy = ProxyHost.Start(vllm,
            ("Inference:InternalKey", "an-internal-key-of-the-house"),
            ("Inference:Providers:anthropic:Endpoints:0", anthropic.Address),
            ("Inference:Providers:anthropic:ApiKeys:0", "anthropic-key-0123456789"),
            ("Inference:Models:clever:Targets:0", "vllm/default"),
            ("Inference:Models:clever:Chains:critical:0", "anthropic/claude-large"));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/messages")
        {
            Content = new StringContent(
                """{"model":"clever","risk_level":"critical","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"""),
        };
        request.Headers.TryAddWithoutValidation("x-valuecanvas-internal", key);

        using var response = await proxy.Client.SendAsync(request, Cancel);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(provider, response.Headers.GetValues("x-valuecanvas-provider").Single());
        var received = Assert.Single((provider == "vllm" ? vllm : anthropic).Received);
        Assert.DoesNotContain("risk", received.Text, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain(received.Headers.Keys, name => name.StartsWith("x-valuecanvas-", StringComparison.OrdinalIgnoreCase));
    }

    private static ProxyHost Start(FakeReplica provider) => ProxyHost.Start([],
        ("Inference:Providers:anthropic:Endpoints:0", provider.Address),
        ("Inference:Providers:anthropic:ApiKeys:0", "anthropic-key-0123456789"),
        ("Inference:Models:claude:Targets:0", "anthropic/claude-large"));

    private static async Task AnswerAsync(HttpContext context, string json)
    {
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(json, Encoding.UTF8, context.RequestAborted);
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
}
