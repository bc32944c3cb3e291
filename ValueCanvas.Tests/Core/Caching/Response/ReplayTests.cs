using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Tests.Core.Caching.Response;

/// <summary>What a stream brings is what the answer in one would be, and back again: nothing is lost or added.</summary>
public sealed class ReplayTests
{
    private const string Answer =
        """
        {"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m-2026","system_fingerprint":"fp",
        "service_tier":null,"choices":[{"index":0,"message":{
        "role":"assistant","content":"Grüße \"an\"\\ alle 😀\n, LONG","reasoning_content":"First, think.","refusal":null,
        "tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Köln\",\"n\":[1,2]}"}},
        {"id":"call_2","type":"function","function":{"name":"time","arguments":"{}"}}]},
        "logprobs":{"content":[{"token":"Gr","logprob":-0.1,"bytes":[71,114],"top_logprobs":[]},{"token":"üße","logprob":-0.2,"bytes":null,
        "top_logprobs":[{"token":"x","logprob":-3,"bytes":[120]}]}],"refusal":null},
        "finish_reason":"tool_calls","stop_reason":151645,"token_ids":[1,2,3]},
        {"index":1,"message":{"role":"assistant","content":"Second"},"logprobs":null,"finish_reason":"stop"}],
        "usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":4},
        "completion_tokens_details":{"reasoning_tokens":2}},"prompt_logprobs":[null,{"5":{"logprob":-1}}]}
        """;

    private static string Long => Answer.Replace("LONG", string.Concat(Enumerable.Repeat("😀aé", 400)), StringComparison.Ordinal);

    [Fact]
    public void Answer_AsAStream_PutTogetherAgain_IsTheSame()
    {
        var stream = Replay.Stream(Bytes(Long), AnswerKind.Chat, withUsage: true);

        var again = Assemble(stream, AnswerKind.Chat);

        Assert.True(JsonNode.DeepEquals(Plain(Long), Plain(Encoding.UTF8.GetString(again!))), Encoding.UTF8.GetString(again!));
        Assert.True(Events(stream).Count() > 10);
    }

    [Fact]
    public void TextCompletion_AsAStream_PutTogetherAgain_IsTheSame()
    {
        const string Text =
            """
            {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"Once upon",
            "logprobs":{"tokens":["Once"," upon"],
            "token_logprobs":[-1,-2],"top_logprobs":null,"text_offset":[0,4]},"finish_reason":"stop","stop_reason":null}],
            "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}
            """;

        var again = Assemble(Replay.Stream(Bytes(Text), AnswerKind.Text, withUsage: true), AnswerKind.Text);

        Assert.True(JsonNode.DeepEquals(Plain(Text), Plain(Encoding.UTF8.GetString(again!))), Encoding.UTF8.GetString(again!));
    }

    [Fact]
    public void Stream_HasANewId_TheTimeOfTheAnswer_AndUsageOnlyWhereAskedFor()
    {
        foreach (var withUsage in (bool[])[true, false])
        {
            var events = Events(Replay.Stream(Bytes(Answer), AnswerKind.Chat, withUsage)).ToList();
            Assert.Single(events.Select(e => e.GetProperty("id").GetString()).Distinct());
            Assert.StartsWith("chatcmpl-", events[0].GetProperty("id").GetString(), StringComparison.Ordinal);
            Assert.NotEqual("chatcmpl-1", events[0].GetProperty("id").GetString());
            Assert.All(events, e => Assert.Equal(1700000000, e.GetProperty("created").GetInt32()));
            Assert.All(events, e => Assert.Equal("chat.completion.chunk", e.GetProperty("object").GetString()));
            Assert.Equal("assistant", events[0].GetProperty("choices")[0].GetProperty("delta").GetProperty("role").GetString());
            Assert.Equal(withUsage ? 1 : 0, events.Count(e => e.TryGetProperty("usage", out _)));
        }
    }

    [Fact]
    public void Whole_HasANewId_AndIsOtherwiseTheSameBytes()
    {
        var json = Bytes(Answer);
        Assert.True(AnswerReading.TryRead(json, AnswerKind.Chat, out var reading));

        var one = Encoding.UTF8.GetString(Replay.Whole(json, AnswerKind.Chat, reading.Id));
        var other = Encoding.UTF8.GetString(Replay.Whole(json, AnswerKind.Chat, reading.Id));

        Assert.NotEqual(one, other);
        var id = JsonDocument.Parse(one).RootElement.GetProperty("id").GetString()!;
        Assert.Equal(Answer.Replace("\"chatcmpl-1\"", $"\"{id}\"", StringComparison.Ordinal), one);
    }

    [Fact]
    public void VllmStream_CutAnywhere_IsPutTogether()
    {
        // Line ends of both kinds, comments, an event of two lines, an empty usage in each chunk.
        const string Stream =
            ": keep-alive\n\n"
            + "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\","
            + "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
            + "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
            + "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\","
            + "\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm \"},\"finish_reason\":null}]}\r\n\r\n"
            + "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":5,\"model\":\"m\",\n"
            + "data: \"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"so\"},\"finish_reason\":null}]}\n\n"
            + "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grü\"},\"logprobs\":{\"content\":[{\"token\":\"Grü\"}]}}]}\n\n"
            + "data: {\"choices\":[{\"index\":0,\"delta\":{"
            + "\"tool_calls\":[{\"index\":1,\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}]}}]}\n\n"
            + "data: {\"choices\":[{\"index\":0,\"delta\":{"
            + "\"tool_calls\":[{\"index\":0,\"id\":\"t0\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n"
            + "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"}\"}}]}}]}\n\n"
            + "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ße 😀\"},"
            + "\"logprobs\":{\"content\":[{\"token\":\"ße\"}]},\"finish_reason\":\"stop\",\"stop_reason\":null}]}\n\n"
            + "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"total_tokens\":9}}\n\n"
            + "data: [DONE]\n\n";
        const string Whole =
            """
            {"id":"c","object":"chat.completion","created":5,"model":"m","choices":[{"index":0,
            "message":{"role":"assistant","content":"Grüße 😀",
            "reasoning_content":"hm so","tool_calls":[{"id":"t0","type":"function","function":{"name":"f","arguments":""}},
            {"id":"t1","type":"function","function":{"name":"g","arguments":"{}"}}]},
            "logprobs":{"content":[{"token":"Grü"},{"token":"ße"}]},
            "finish_reason":"stop","stop_reason":null}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}
            """;
        var bytes = Bytes(Stream);

        for (var cut = 0; cut <= bytes.Length; cut++)
        {
            var assembler = new StreamAssembler(AnswerKind.Chat);
            assembler.Add(bytes.AsSpan(0, cut));
            assembler.Add(bytes.AsSpan(cut));
            assembler.End();
            var whole = assembler.ToAnswer(known: null);
            Assert.NotNull(whole);
            if (cut % 50 == 0)
                Assert.True(JsonNode.DeepEquals(JsonNode.Parse(Whole), JsonNode.Parse(whole)), Encoding.UTF8.GetString(whole));
        }
    }

    [Fact]
    public void Stream_WithoutUsage_TakesWhatCameOnAnotherWay()
    {
        var assembler = new StreamAssembler(AnswerKind.Chat);
        assembler.Add(Bytes(
            "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n"
            + "data: [DONE]\n\n"));
        assembler.End();

        Assert.True(AnswerReading.TryRead(assembler.ToAnswer(known: null), AnswerKind.Chat, out var without));
        Assert.False(without.IsFinished);
        Assert.True(AnswerReading.TryRead(assembler.ToAnswer(new TokenUsage(7, 3, 4)), AnswerKind.Chat, out var with));
        Assert.True(with.IsFinished);
        Assert.Equal((7, 3, 4), (with.Usage!.InputTokens, with.Usage.OutputTokens, with.Usage.CachedInputTokens));
    }

    private static byte[]? Assemble(byte[] stream, AnswerKind kind)
    {
        var assembler = new StreamAssembler(kind);
        assembler.Add(stream);
        assembler.End();
        return assembler.ToAnswer(known: null);
    }

    // The id is another one; what is null need not be said.
    private static JsonNode? Plain(string json)
    {
        var node = JsonNode.Parse(json)!.AsObject();
        node.Remove("id");
        return WithoutNulls(node);
    }

    private static JsonNode? WithoutNulls(JsonNode? node) => node switch
    {
        JsonObject members => new JsonObject(members.Where(member => member.Value is not null)
            .Select(member => KeyValuePair.Create(member.Key, WithoutNulls(member.Value)))),
        JsonArray items => new JsonArray([.. items.Select(WithoutNulls)]),
        _ => node?.DeepClone(),
    };

    private static IEnumerable<JsonElement> Events(byte[] stream) => Encoding.UTF8.GetString(stream)
        .Split("\n\n", StringSplitOptions.RemoveEmptyEntries)
        .Select(e => e["data: ".Length..])
        .Where(data => data != "[DONE]")
        .Select(data => JsonDocument.Parse(data).RootElement);

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
