using System.Text;
using System.Text.Json;
using ValueCanvas.Tests.VllmSimulator;

namespace ValueCanvas.Tests.InferenceProxy.Resuming;

/// <summary>
/// What the gateway adds to a streamed request reaches the server, and the client's stream is the one that it would have been.
/// </summary>
public sealed class StreamAdditionsTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("""{"model":"small-model","stream":true}""",
        """{"return_token_ids":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}"""
        + ""","model":"small-model","stream":true}""")]
    [InlineData("""{ "model":"small-model","stream":true,"stream_options":null,"return_token_ids":null}""",
        """{ "model":"small-model","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}"""
        + ""","return_token_ids":true}""")]
    [InlineData("""{"stream_options":{ },"stream":true,"model":"default","return_token_ids":true}""",
        """{"stream_options":{"include_usage":true,"continuous_usage_stats":true }"""
        + ""","stream":true,"model":"small-model","return_token_ids":true}""")]
    [InlineData("""{"stream":true,"model":"small-model","stream_options":{"include_usage":false,"x":1},"n":2}""",
        """{"stream":true,"model":"small-model","stream_options":{"continuous_usage_stats":true,"include_usage":true,"x":1},"n":2}""")]
    [InlineData("""{"stream":true,"model":"small-model","stream_options":{"include_obfuscation":false},"n":2}""",
        """{"stream":true,"model":"small-model","stream_options":{"include_usage":true,"continuous_usage_stats":true"""
        + ""","include_obfuscation":false},"n":2}""")]
    [InlineData(
        """{"stream":true,"model":"small-model","stream_options":{"include_usage":true,"continuous_usage_stats":true},"tools":[{}]}""",
        """{"stream":true,"model":"small-model","stream_options":{"include_usage":true,"continuous_usage_stats":true},"tools":[{}]}""")]
    [InlineData(
        """{"stream":true,"model":"small-model","stream_options":{"include_usage":false},"stream_options":{"include_usage":true},"n":2}""",
        """{"stream":true,"model":"small-model","stream_options":{"include_usage":false}"""
        + ""","stream_options":{"continuous_usage_stats":true,"include_usage":true},"n":2}""")]
    [InlineData("""{"stream":true,"model":"small-model","stream_options":"x","echo":true}""",
        """{"stream":true,"model":"small-model","stream_options":"x","echo":true}""")]
    [InlineData("""{"stream":true,"model":"small-model","stream_options":{"continuous_usage_stats":true},"logprobs":true}""",
        """{"stream":true,"model":"small-model","stream_options":{"continuous_usage_stats":true},"logprobs":true}""")]
    [InlineData("""{"stream":false,"model":"small-model"}""", """{"stream":false,"model":"small-model"}""")]
    public async Task Body_OfAStream_GetsWhatTheClientHasNotSet(string sent, string received)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.StreamAsync);
        await using var proxy = ProxyHost.Start([replica.Address, DeadAddress.Take()]);

        using var response = await proxy.PostAsync(sent);
        await response.Content.ReadAsStringAsync(Cancel);

        Assert.Equal(received, replica.Received.Single().Text);
    }

    [Theory]
    [InlineData("openai", """{"stream_options":{"include_usage":true},"model":"small-model","stream":true}""")]
    [InlineData("together", """{"model":"small-model","stream":true}""")]
    public async Task Body_ForAnotherKind_GetsWhatThatKindAccepts(string kind, string received)
    {
        await using var replica = await FakeReplica.StartAsync(FakeReplica.StreamAsync);
        await using var proxy = ProxyHost.Start(
            replica, ("Inference:Providers:vllm:Kind", kind), ("Inference:Providers:vllm:Models:0", "small-model"));

        using var response = await proxy.PostAsync("""{"model":"small-model","stream":true}""");
        await response.Content.ReadAsStringAsync(Cancel);

        Assert.Equal(received, replica.Received.Single().Text);
    }

    // A server that writes what vLLM writes for the options it gets, in pieces cut anywhere.
    [Fact]
    public async Task Stream_OfRandomOptionsAndPieces_IsTheOneWithoutTheAdditions()
    {
        var random = new Random(7);
        var pieces = new Random(8);
        var last = "";
        await using var replica = await FakeReplica.StartAsync(async context =>
        {
            var bytes = Encoding.UTF8.GetBytes(Answer((byte[])context.Items[FakeReplica.BodyItem]!, context.Request.Path));
            context.Response.ContentType = "text/event-stream";
            for (var at = 0; at < bytes.Length;)
            {
                var length = Math.Min(bytes.Length - at, pieces.Next(4) == 0 ? 1 + pieces.Next(20) : 1 + pieces.Next(900));
                await context.Response.Body.WriteAsync(bytes.AsMemory(at, length), context.RequestAborted);
                await context.Response.Body.FlushAsync(context.RequestAborted);
                at += length;
            }
        });
        await using var proxy = ProxyHost.Start([replica.Address, DeadAddress.Take()]);

        for (var i = 0; i < 300; i++)
        {
            var path = random.Next(2) == 0 ? "/v1/chat/completions" : "/v1/completions";
            var body = RandomBody(random);
            using var response = await proxy.PostAsync(body, path);
            last = await response.Content.ReadAsStringAsync(Cancel);

            Assert.Equal(Answer(Encoding.UTF8.GetBytes(body), path), last);
        }
    }

    [Theory]
    [InlineData("/v1/chat/completions", "")]
    [InlineData("/v1/chat/completions", ",\"stream_options\":{\"include_usage\":true}")]
    [InlineData(
        "/v1/chat/completions",
        ",\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true},\"return_token_ids\":true")]
    [InlineData("/v1/chat/completions", ",\"n\":3")]
    [InlineData("/v1/completions", "")]
    [InlineData("/v1/completions", ",\"stream_options\":{\"include_usage\":true},\"echo\":true")]
    [InlineData("/v1/completions", ",\"return_token_ids\":true")]
    public async Task Stream_OfTheSimulator_IsTheSameAsDirect(string path, string options)
    {
        using var simulator = SimulatorServer.Start();
        await using var proxy = ProxyHost.Start(
            [simulator.Address.ToString().TrimEnd('/'), DeadAddress.Take()], ("Inference:DefaultModel", SimulatorServer.Model));
        var prompt = path.EndsWith("chat/completions", StringComparison.Ordinal)
            ? "\"messages\":[{\"role\":\"user\",\"content\":\"Why do bakeries waste bread?\"}]"
                : "\"prompt\":\"Why do bakeries waste bread?\"";
        var body = $"{{\"model\":\"{SimulatorServer.Model}\",{prompt},\"stream\":true,\"request_id\":\"same\",\"max_tokens\":40{options}}}";

        using var first = await simulator.SendAsync(path, body); // the cache is told of in the bill
        using var direct = await simulator.SendAsync(path, body);
        using var proxied = await proxy.PostAsync(body, path);

        Assert.Equal(Timeless(await direct.Content.ReadAsStringAsync(Cancel)), Timeless(await proxied.Content.ReadAsStringAsync(Cancel)));
    }

    private static string Timeless(string stream) => System.Text.RegularExpressions.Regex.Replace(
        stream, "\"created\":[0-9]+", "\"created\":0");

    private static string RandomBody(Random random)
    {
        string[] fields =
        [
            "\"model\":\"small-model\"", "\"stream\":true",
            .. Some("\"return_token_ids\":", "true", "false", "null"),
            .. Some("\"stream_options\":", "null", "{}", "{ \"x\" : [ {} ] }", Options(), Options(), Options()),
            .. Some("\"stream_options\":", Options()),
            .. Some("\"n\":", "1", "2"), .. Some("\"stop\":", "\"x\"", "[]"), .. Some("\"tools\":", "[]", "[{}]"),
        ];
        random.Shuffle(fields);
        return random.Next(2) == 0 ? $"{{{string.Join(',', fields)}}}" : $" {{ {string.Join(" ,\n ", fields)} }}";

        string Options() => $"{{{string.Join(',', (string[])
        [
            .. Some("\"include_usage\":", "true", "false", "null"),
            .. Some("\"continuous_usage_stats\":", "true", "false"),
            .. Some("\"x\":", "1"),
        ])}}}";

        string[] Some(string name, params string[] values) => random.Next(2) == 0 ? [] : [name + values[random.Next(values.Length)]];
    }

    /// <summary>A stream as vLLM writes it for these options.</summary>
    private static string Answer(byte[] body, string path)
    {
        using var json = JsonDocument.Parse(body);
        var root = json.RootElement;
        var chat = path.EndsWith("chat/completions", StringComparison.Ordinal);
        var options = root.TryGetProperty("stream_options", out var given) && given.ValueKind == JsonValueKind.Object ? given : default;
        var (ids, usage) = (Is(root, "return_token_ids"), Is(options, "include_usage"));
        var running = usage && Is(options, "continuous_usage_stats");
        var type = chat ? "chat.completion.chunk" : "text_completion";
        var head = $"{{\"id\":\"x\",\"object\":\"{type}\",\"created\":7,\"model\":\"m\",\"choices\":[";
        var stream = new StringBuilder();
        if (chat)
        {
            Event($"{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"\"}},\"logprobs\":null,\"finish_reason\":null}}]", 0,
                $",\"prompt_token_ids\":{(ids ? "[5,6,7]" : "null")}");
        }

        for (var i = 1; i <= 6; i++)
        {
            var (end, text) = (i == 6 ? "\"stop\",\"stop_reason\":null" : "null", i == 4 ? "" : $"w\\\"{i} ,é\\n\\n");
            var told = ids ? i == 5 ? "[8,9,10]" : i == 6 ? "[100257]" : "[8]" : "null";
            if (chat && i == 3 && ids)
                Event($"{{\"index\":0,\"delta\":{{}},\"logprobs\":null,\"finish_reason\":null,\"token_ids\":[44]}}]", i, "");

            Event(chat
                ? $"{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"logprobs\":null,\"finish_reason\":{end},\"token_ids\":{told}}}]"
                    : $"{{\"index\":0,\"text\":\"{text}\",\"logprobs\":null,\"finish_reason\":{end}"
                        + $",\"prompt_token_ids\":{(ids && i == 1 ? "[5,6,7]" : "null")},\"token_ids\":{told}}}]",
                i, "");
        }

        stream.Append(usage ? $"data: {head}],\"usage\":{{\"prompt_tokens\":3,\"total_tokens\":9,\"completion_tokens\":6}}}}\n\n" : "");
        return stream.Append("data: [DONE]\n\n").ToString();

        void Event(string choice, int tokens, string more) => stream.Append("data: ").Append(head).Append(choice)
            .Append(running ? $",\"usage\":{{\"prompt_tokens\":3,\"total_tokens\":{3 + tokens},\"completion_tokens\":{tokens}}}" : "")
                .Append(more).Append("}\n\n");
    }

    private static bool Is(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;
}
