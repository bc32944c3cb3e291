using System.Diagnostics;
using System.Text;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.Tests.InferenceProxy.Routing;

public sealed class PromptPrefixTests
{
    private static readonly string Long = new Random(1).GetString("abcdefgh ", 5000);

    [Fact]
    public void Conversation_NextTurn_BeginsWithTheBlocksOfTheLast()
    {
        var first = Blocks(Chat(("system", Long), ("user", "Hello?")));
        var second = Blocks(Chat(("system", Long), ("user", "Hello?"), ("assistant", "Yes."), ("user", Long)));

        Assert.Equal(first.Length, Shared(first, second));
        Assert.True(first.Length >= 19);
        Assert.True(second.Length >= 39);
    }

    [Fact]
    public void SameSystemPrompt_OtherQuestion_SharesTheSystemPrompt()
    {
        var one = Blocks(Chat(("system", Long), ("user", "A" + Long)));
        var two = Blocks(Chat(("system", Long), ("user", "B" + Long)));

        Assert.InRange(Shared(one, two), 19, 20);
    }

    [Theory]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"$"}],"tools":[{"type":"function"}],"temperature":0.5}""")]
    [InlineData(
        """{ "stream": true, "tools" : [ { "type" : "function" } ] , "messages": [ {"role": "user", "content": "$"} ], "model": "m" }""")]
    public void Body_SpacedAndOrderedOtherwise_IsTheSamePrompt(string body)
    {
        var plain = """{"model":"m","tools":[{"type":"function"}],"messages":[{"role":"user","content":"$"}]}""";

        Assert.Equal(Blocks(plain.Replace("$", Long, StringComparison.Ordinal)), Blocks(body.Replace("$", Long, StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("é", "\\u00e9")]
    [InlineData("é", "\\u00E9")]
    [InlineData("/", "\\/")]
    [InlineData("\\n", "\\u000a")]
    [InlineData("😀", "\\ud83d\\uDE00")]
    [InlineData("\\\"\\\\\\t\\r\\b\\f", "\\u0022\\u005c\\u0009\\u000D\\u0008\\u000C")]
    public void Text_EscapedOtherwise_IsTheSamePrompt(string one, string two)
    {
        var (first, second) = (Blocks(Of(one)), Blocks(Of(two)));

        Assert.True(first.Length >= 39);
        Assert.Equal(first, second);
        Assert.Equal(Blocks(Of("\\ud83d")), Blocks(Of("\\ud83d"))); // half a pair is no reason to fail
        Assert.NotEqual(first, Blocks(Of("x")));

        static string Of(string text) => $$"""{"model":"m","messages":[{"role":"user","content":"{{text}}{{Long}}{{text}}{{Long}}"}]}""";
    }

    [Theory]
    [InlineData("""{"model":"other","messages":[{"role":"user","content":"$"}]}""", "")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"$"}],"cache_salt":"x"}""", "")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"$"}],"tools":[]}""", "")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":"$"}]}""", "tenant")]
    public void Body_OtherSeed_SharesNothing(string body, string tenant)
    {
        var plain = Blocks("""{"model":"m","messages":[{"role":"user","content":"$"}]}""".Replace("$", Long, StringComparison.Ordinal));

        Assert.Equal(0, Shared(plain, Blocks(body.Replace("$", Long, StringComparison.Ordinal), tenant)));
    }

    [Fact]
    public void Body_WithoutAPrompt_HasNoBlocks() => Assert.Empty(Blocks("""{"model":"m","messages":null}"""));

    [Fact]
    public void Completion_PromptIsHashedToo() =>
        Assert.True(Blocks(JsonSerializer.Serialize(new { model = "m", prompt = Long })).Length >= 19);

    [Fact]
    public void Body_OfManyMegabytes_IsCutAtItsFirst() =>
        Assert.Equal(4096, Blocks(JsonSerializer.Serialize(new { model = "m", prompt = new string('x', 8_000_000) })).Length);

    /// <summary>Not a measurement: a bound that only a wrong complexity breaks. The time is reported.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("\n")] // every 32 bytes, as in code
    public void Hashing_AndMatching_CostsMicrosecondsForAKilobyte(string lineEnd)
    {
        var text = string.Join(lineEnd, Long[..780].Chunk(31).Select(line => new string(line)));
        var body = Encoding.UTF8.GetBytes(Chat([.. Enumerable.Range(0, 64).Select(i => (i % 2 == 0 ? "user" : "assistant", i + text))]));
        RequestPeek.Read(body, out var peek);
        var replicas = Enumerable.Range(0, 4).Select(_ => new PrefixIndex()).ToArray();
        var best = TimeSpan.MaxValue;
        var allocated = 0L;
        for (var i = 0; i < 300; i++)
        {
            var (started, before) = (Stopwatch.GetTimestamp(), GC.GetAllocatedBytesForCurrentThread());
            using (var prefix = PromptPrefix.Of(body, peek.Fields, "", peek.Model))
            {
                foreach (var replica in replicas)
                    replica.Match(prefix.Blocks);

                replicas[0].Record(prefix.Blocks, 65_536);
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            var took = Stopwatch.GetElapsedTime(started);
            best = took < best ? took : best;
        }

        var perKilobyte = best.TotalMicroseconds / (body.Length / 1024.0);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{body.Length} bytes: {best.TotalMicroseconds:0.0} µs, {perKilobyte:0.00} µs/KiB; {allocated} bytes allocated");
        Assert.True(perKilobyte < 50, $"{perKilobyte} µs/KiB");
        Assert.True(allocated < 200, $"{allocated} bytes");
    }

    private static string Chat(params (string Role, string Content)[] messages) =>
        JsonSerializer.Serialize(new { model = "m", messages = messages.Select(m => new { role = m.Role, content = m.Content }) });

    private static ulong[] Blocks(string body, string tenant = "")
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        Assert.Null(RequestPeek.Read(bytes, out var peek));
        using var prefix = PromptPrefix.Of(bytes, peek.Fields, tenant, peek.Model);
        return prefix.Blocks.ToArray();
    }

    private static int Shared(ulong[] one, ulong[] two) => one.Zip(two).TakeWhile(pair => pair.First == pair.Second).Count();
}
