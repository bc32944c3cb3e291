using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ValueCanvas.Core.Caching.Keys;

namespace ValueCanvas.Tests.Core.Caching.Response;

public sealed class CanonicalRequestTests
{
    private const string Request =
        """
        {"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Häng \"on\"\n😀"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}]}],"temperature":0,"top_p":0.9,"n":1,
        "max_tokens":100,"max_completion_tokens":50,"seed":7,"stop":["a","b"],"logit_bias":{"50256":-100},"logprobs":true,"top_logprobs":2,
        "presence_penalty":0.1,"frequency_penalty":0.2,
        "response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","required":[]},"strict":true}},
        "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"auto",
        "parallel_tool_calls":false,"reasoning_effort":"low","chat_template_kwargs":{"enable_thinking":false},
        "structured_outputs":{"regex":"a+"},"min_p":0.01,"top_k":5,"repetition_penalty":1.05,"ignore_eos":false,"risk_level":"low",
        "cache_salt":null,"service_tier":"auto","unknown_one":{"deep":[1,[2,{"x":null}]]}}
        """;

    private static readonly string?[] Context = ["1", "tenant", "chat", "", null, null, null];

    [Fact]
    public void Order_Spaces_Escapes_AndWaysToWriteNumbers_ChangeNothing()
    {
        var key = Key(Request);
        var node = JsonNode.Parse(Request)!;
        Assert.Equal(key, Key(Reversed(node)!.ToJsonString()));
        Assert.Equal(key, Key(node.ToJsonString(new JsonSerializerOptions { WriteIndented = true })));
        Assert.Equal(key, Key(Request.Replace("Be brief.", "\\u0042e\\u0020brief.", StringComparison.Ordinal)));
        Assert.Equal(key, Key(Request.Replace("\"messages\"", "\"mess\\u0061ges\"", StringComparison.Ordinal)));
        Assert.Equal(key, Key(Request.Replace("😀", "\\ud83d\\ude00", StringComparison.Ordinal)));
        Assert.Equal(key, Key(Request.Replace("\"temperature\":0,", "\"temperature\":0.0,", StringComparison.Ordinal)));
        Assert.Equal(key, Key(Request.Replace("\"top_p\":0.9", "\"top_p\":9.00e-1", StringComparison.Ordinal)));
        Assert.Equal(key, Key(Request.Replace("\"max_tokens\":100", "\"max_tokens\":1.0E2", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("\"stream\":true")]
    [InlineData("\"stream_options\":{\"include_usage\":true}")]
    [InlineData("\"user\":\"u-1\"")]
    [InlineData("\"metadata\":{\"a\":{\"b\":1}}")]
    [InlineData("\"priority\":3")]
    [InlineData("\"request_id\":\"r\"")]
    public void WhoAsksAndHowItIsSent_ChangesNothing(string member) =>
        Assert.Equal(Key(Request), Key("{" + member + "," + Request[1..]));

    [Fact]
    public void DeniedNames_CountWhereTheyMeanSomethingElse() =>
        Assert.NotEqual(
            Key("""{"tools":[{"function":{"parameters":{"properties":{"user":{"type":"string"}}}}}]}"""),
            Key("""{"tools":[{"function":{"parameters":{"properties":{}}}}]}"""));

    [Fact]
    public void EveryFieldOfTheRequest_AtEveryDepth_ChangesTheKey()
    {
        var keys = new HashSet<CacheKey> { Key(Request) };
        var (changed, count) = (0, 0);
        foreach (var other in Mutations(Request))
        {
            count++;
            changed += keys.Add(Key(other)) ? 1 : 0;
        }

        Assert.True(count > 150, $"{count} mutations");
        Assert.Equal(count, changed);
    }

    [Fact]
    public void SeedsBeyondADouble_AreToldApart()
    {
        Assert.NotEqual(Key("""{"seed":9007199254740993}"""), Key("""{"seed":9007199254740992}"""));
        Assert.NotEqual(Key("""{"seed":18446744073709551615}"""), Key("""{"seed":18446744073709551614}"""));
        Assert.NotEqual(Key("""{"seed":1}"""), Key("""{"seed":"1"}"""));
        Assert.NotEqual(Key("""{"seed":1}"""), Key("""{"seed":-1}"""));
        Assert.NotEqual(Key("""{"x":[1,2]}"""), Key("""{"x":[12]}"""));
        Assert.NotEqual(Key("""{"x":0.1}"""), Key("""{"x":0.10000000000000001}"""));
    }

    [Fact]
    public void Boundaries_BetweenNamesAndValues_AreNotMixedUp()
    {
        string[] texts =
        [
            """{"a":"b"}""", """{"ab":""}""", """{"a":["b"]}""", """{"a":{"b":null}}""", """{"a":{},"b":null}""", """{"a":[],"b":null}""",
            """{"a":[{}],"b":null}""", """{"a":["b","c"]}""", """{"a":["bc"]}""", """{"a":[["b"],"c"]}""", """{"a":[["b","c"]]}""",
            """{"a":true}""",
            """{"a":"true"}""", """{"a":null}""", """{"a":"null"}""", """{"a":false}""", "{}",
        ];
        Assert.Equal(texts.Length, texts.Select(Key).Distinct().Count());
    }

    [Fact]
    public void Context_EveryPart_ChangesTheKey()
    {
        var keys = new HashSet<CacheKey> { Key(Request) };
        for (var i = 0; i < Context.Length; i++)
        {
            var other = Context.ToArray();
            other[i] = (other[i] ?? "") + "x";
            Assert.True(keys.Add(Key(Request, other)), $"part {i}");
        }

        Assert.True(keys.Add(Key(Request, [.. Context, "more"])));
        Assert.True(keys.Add(Key(Request, ["1t", "enant", .. Context[2..]])));
    }

    [Theory]
    [InlineData("""{"a":1,"a":2}""")]
    [InlineData("""{"a":1,"b":2,"\u0061":3}""")]
    [InlineData("""{"x":{"a":1,"b":{},"a":1}}""")]
    [InlineData("""{"a":"\ud800"}""")]
    [InlineData("""{"a":1}{}""")]
    [InlineData("""{"a":1""")]
    [InlineData("[1]")]
    [InlineData("")]
    public void WhatCanBeReadInTwoWays_OrNotAtAll_HasNoKey(string body) =>
        Assert.False(CanonicalRequest.TryHash(Context, Encoding.UTF8.GetBytes(body), out _));

    [Fact]
    public void Nesting_BeyondWhatIsRead_HasNoKey() =>
        Assert.False(CanonicalRequest.TryHash(
            Context, Encoding.UTF8.GetBytes("{\"a\":" + new string('[', 5000) + new string(']', 5000) + "}"), out _));

    [Fact]
    public void Fuzzed_RequestsOfTwoTenants_NeverShareAKey()
    {
        // So few words that requests are alike all the time; the tenant alone tells them apart.
        var random = new Random(20261121);
        var keys = new Dictionary<CacheKey, (int Tenant, string Text)>();
        string?[][] contexts = [[.. Context], [.. Context]];
        (contexts[0][1], contexts[1][1]) = (Guid.NewGuid().ToString("N"), Guid.NewGuid().ToString("N"));
        var (pairs, alike) = (0, 0);
        while (pairs < 1_000_000)
        {
            var text =
                $$"""
                {"model":"m{{random.Next(3)}}","messages":[{"role":"user","content":"{{random.Next(2000)}}"}],"seed":{{random.Next(200)}}}
                """;
            var bytes = Encoding.UTF8.GetBytes(text);
            Assert.True(CanonicalRequest.TryHash(contexts[0], bytes, out var one));
            Assert.True(CanonicalRequest.TryHash(contexts[1], bytes, out var other));
            pairs++;
            // Assert's own comparison would take ten times as long as all the rest.
            if (one == other)
                Assert.Fail($"Both tenants have the key of {text}");
            alike += Check(one, 0, text) + Check(other, 1, text);
        }

        Assert.True(alike > 100_000, $"{alike} were alike");

        int Check(CacheKey key, int tenant, string text)
        {
            if (keys.TryAdd(key, (tenant, text)))
                return 0;
            if (keys[key] != (tenant, text))
                Assert.Fail($"{(tenant, text)} has the key of {keys[key]}");
            return 1;
        }
    }

    private static CacheKey Key(string body) => Key(body, Context);

    private static CacheKey Key(string body, string?[] context)
    {
        Assert.True(CanonicalRequest.TryHash(context, Encoding.UTF8.GetBytes(body), out var key), body);
        return key;
    }

    private static JsonNode? Reversed(JsonNode? node) => node switch
    {
        JsonObject members => new JsonObject(members.Reverse().Select(member => KeyValuePair.Create(member.Key, Reversed(member.Value)))),
        JsonArray items => new JsonArray([.. items.Select(Reversed)]),
        _ => node?.DeepClone(),
    };

    // Each member and item left out, or another; one more in each.
    private static IEnumerable<string> Mutations(string text)
    {
        foreach (var path in Paths(JsonNode.Parse(text)!).ToArray())
        {
            if (path.Length > 0)
            {
                yield return Changed(parent => Set(parent, path[^1], "zz"), path[..^1]);
                yield return Changed(parent => Remove(parent, path[^1]), path[..^1]);
            }

            if (At(JsonNode.Parse(text)!, path) is JsonObject)
                yield return Changed(node => node.AsObject()["zz_more"] = null, path);
            else if (At(JsonNode.Parse(text)!, path) is JsonArray)
                yield return Changed(node => node.AsArray().Add(null), path);
        }

        string Changed(Action<JsonNode> change, object[] path)
        {
            var copy = JsonNode.Parse(text)!;
            change(At(copy, path)!);
            return copy.ToJsonString();
        }
    }

    private static void Set(JsonNode parent, object name, string value)
    {
        if (name is string member)
            parent[member] = value;
        else
            parent[(int)name] = value;
    }

    private static void Remove(JsonNode parent, object name)
    {
        if (name is string member)
            parent.AsObject().Remove(member);
        else
            parent.AsArray().RemoveAt((int)name);
    }

    private static IEnumerable<object[]> Paths(JsonNode? node)
    {
        yield return [];
        var children = node switch
        {
            JsonObject members => members.Select(member => ((object)member.Key, member.Value)),
            JsonArray items => items.Select((item, index) => ((object)index, item)),
            _ => [],
        };
        foreach (var (name, child) in children)
        {
            foreach (var path in Paths(child))
                yield return [name, .. path];
        }
    }

    private static JsonNode? At(JsonNode node, object[] path) =>
        path.Aggregate((JsonNode?)node, (at, step) => step is string name ? at![name] : at![(int)step]);
}
