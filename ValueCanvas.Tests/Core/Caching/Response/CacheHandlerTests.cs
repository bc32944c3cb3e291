using System.Text.Json;
using Microsoft.AspNetCore.Http;
using ValueCanvas.Core.Inference;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Core.Caching.Response;

/// <summary>One instance, without Redis and PostgreSQL: what is kept, what is given out, and what never is.</summary>
public sealed class CacheHandlerTests : IAsyncLifetime
{
    private const string Body = """{"model":"m","messages":[{"role":"user","content":"hi"}]}""";
    private const string Streamed =
        """{"stream":true,"stream_options":{"include_usage":true},"model":"m","messages":[{"role":"user","content":"hi"}]}""";

    private FakeInference _model = null!;
    private CacheInstance _cache = null!;

    private int Calls => _model.Seen.Count;

    public async ValueTask InitializeAsync()
    {
        _model = await FakeInference.StartAsync();
        _cache = await CacheInstance.StartAsync(_model.Address);
    }

    public async ValueTask DisposeAsync()
    {
        await _cache.DisposeAsync();
        await _model.DisposeAsync();
    }

    [Fact]
    public async Task SameRequest_AskedAgain_IsAHitWithANewIdThatCostsNothing()
    {
        var first = await _cache.AskAsync(Body);
        _cache.Clock.Advance(TimeSpan.FromSeconds(90));
        var second = await _cache.AskAsync(Body.Replace("\"model\":\"m\",", "", StringComparison.Ordinal)
            .Replace("}]}", "}],\"model\":\"m\",\"user\":\"u\"}", StringComparison.Ordinal));

        Assert.Equal(("MISS", "HIT", 1), (first.Cache, second.Cache, Calls));
        Assert.Equal((CacheStatus.Miss, CacheStatus.Hit), (first.Outcome.Cache, second.Outcome.Cache));
        Assert.Equal((0m, 7, 3, true, "fake-model"), (second.Outcome.Cost, second.Outcome.Usage!.InputTokens,
            second.Outcome.Usage.OutputTokens, second.Outcome.IsComplete, second.Outcome.Model));
        Assert.InRange(second.Age!.Value.TotalSeconds, 90, 120);
        var (one, other) = (JsonDocument.Parse(first.Text).RootElement, JsonDocument.Parse(second.Text).RootElement);
        Assert.NotEqual(one.GetProperty("id").GetString(), other.GetProperty("id").GetString());
        Assert.Equal(one.GetProperty("created").GetInt32(), other.GetProperty("created").GetInt32());
        Assert.Equal(one.GetProperty("choices").GetRawText(), other.GetProperty("choices").GetRawText());
    }

    [Fact]
    public async Task Stream_IsKept_AndServedAsOneAnswer_AndTheOtherWayRound()
    {
        _model.Answer = context => FakeInference.Stream(context, "Hel", "lo 😀");
        var live = await _cache.AskAsync(Streamed);
        var whole = await _cache.AskAsync(Body);
        var again = await _cache.AskAsync(Streamed);

        Assert.Equal(("MISS", "HIT", "HIT", 1), (live.Cache, whole.Cache, again.Cache, Calls));
        Assert.Equal(("application/json", "text/event-stream"), (whole.Type, again.Type));
        Assert.Equal("Hello 😀", JsonDocument.Parse(whole.Text).RootElement.GetProperty("choices")[0].GetProperty("message")
            .GetProperty("content").GetString());
        Assert.Contains("Hello 😀", System.Text.RegularExpressions.Regex.Unescape(again.Text), StringComparison.Ordinal);
        Assert.Contains("\"prompt_tokens\":7", again.Text, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", again.Text, StringComparison.Ordinal);
        Assert.Equal(2, whole.Outcome.Usage!.OutputTokens);
    }

    [Fact]
    public async Task Live_IsByteForByteWhatTheModelSends()
    {
        _model.Answer = context => FakeInference.Stream(context, "a", "b");
        var live = await _cache.AskAsync(Streamed);
        var expected = string.Concat(
            new[] { FakeInference.Chunk("a"), FakeInference.Chunk("b"), FakeInference.Chunk(
                "", "stop"), FakeInference.UsageChunk(), "[DONE]" }.Select(data => $"data: {data}\n\n"));
        Assert.Equal(expected, live.Text);
    }

    [Theory]
    [InlineData("""{"model":"m","temperature":0.7,"messages":[]}""", 2)]
    [InlineData("""{"model":"m","messages":[]}""", 2)]
    [InlineData("""{"model":"m","temperature":"0","messages":[]}""", 2)]
    [InlineData("""{"model":"m","temperature":0,"messages":[]}""", 1)]
    [InlineData("""{"model":"m","temperature":0.0,"messages":[]}""", 1)]
    [InlineData("""{"model":"m","temperature":1,"seed":42,"messages":[]}""", 1)]
    public async Task Deterministic_IsKeptByItself_OtherRequestsAreNot(string body, int calls)
    {
        await _cache.AskAsync(body, CacheControl.WhenDeterministic);
        var second = await _cache.AskAsync(body, CacheControl.WhenDeterministic);
        Assert.Equal((calls, calls == 1 ? "HIT" : "BYPASS"), (Calls, second.Cache));
    }

    [Fact]
    public async Task WhatTheCallerWants_Counts()
    {
        await _cache.AskAsync(Body);
        Assert.Equal("BYPASS", (await _cache.AskAsync(Body, CacheControl.Never)).Cache);
        Assert.Equal("MISS", (await _cache.AskAsync(Body, CacheControl.Always with { Refresh = true })).Cache);
        Assert.Equal("HIT", (await _cache.AskAsync(Body)).Cache);
        Assert.Equal(3, Calls);

        _cache.Clock.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal("HIT", (await _cache.AskAsync(Body, CacheControl.Always with { MaxAge = TimeSpan.FromMinutes(6) })).Cache);
        Assert.Equal("MISS", (await _cache.AskAsync(Body, CacheControl.Always with { MaxAge = TimeSpan.FromMinutes(4) })).Cache);
        Assert.Equal("HIT", (await _cache.AskAsync(Body, CacheControl.Always with { MaxAge = TimeSpan.FromMinutes(4) })).Cache);

        var other = Body.Replace("hi", "no", StringComparison.Ordinal);
        Assert.Equal("MISS", (await _cache.AskAsync(other, CacheControl.Always with { NoStore = true })).Cache);
        Assert.Equal("MISS", (await _cache.AskAsync(other)).Cache);
    }

    [Fact]
    public async Task Tenant_Risk_Prompt_Query_AndProviderHeaders_HaveTheirOwnAnswers()
    {
        Assert.Equal("MISS", (await _cache.AskAsync(Body)).Cache);
        Assert.Equal("MISS", (await _cache.AskAsync(Body, tenant: Guid.NewGuid())).Cache);
        Assert.Equal("MISS", (await _cache.AskAsync(Body, adapt: request => request.Headers.Add(InferenceHeaders.Risk, "high"))).Cache);
        Assert.Equal("MISS", (await _cache.AskAsync(Body, prompt: ("p", "1"))).Cache);
        Assert.Equal("MISS", (await _cache.AskAsync(Body, prompt: ("p", "2"))).Cache);
        Assert.Equal("MISS", (await _cache.AskAsync(Body, path: "v1/chat/completions?x=1")).Cache);
        Assert.Equal("MISS", (await _cache.AskAsync(Body, adapt: request => request.Headers.Add("OpenAI-Beta", "x"))).Cache);
        Assert.Equal("HIT", (await _cache.AskAsync(Body)).Cache);
        Assert.Equal("HIT", (await _cache.AskAsync(Body, prompt: ("p", "2"))).Cache);
    }

    [Fact]
    public async Task MessagesOfAnthropic_AndOtherPaths_PassBy()
    {
        foreach (var path in (string[])["v1/messages", "v1/models", "v1/chat/completions/batch"])
        {
            await _cache.AskAsync(Body, path: path);
            await _cache.AskAsync(Body, path: path);
        }

        Assert.Equal(6, Calls);
    }

    /// <summary>Name → what the model answers: each is passed on as it is, and none is ever given out again.</summary>
    public static TheoryData<string> NeverKept =>
    [
        "length", "content_filter", "one of two", "no finish", "no usage", "error 500", "error 429", "error in 200", "error event",
        "stream without DONE",
        "stream cut", "stream length", "not JSON", "fallback header", "fallback comment", "encoded", "too large",
    ];

    [Theory]
    [MemberData(nameof(NeverKept))]
    public async Task AnswerThatIsNotWhole_OrNotTheModels_IsNeverGivenOutAgain(string what)
    {
        _model.Answer = context => AnswerAsync(context, what);
        var body = what.Contains("stream", StringComparison.Ordinal) || what is "error event" or "fallback comment" ? Streamed : Body;
        for (var i = 1; i <= 3; i++)
        {
            try
            {
                Assert.DoesNotContain((await _cache.AskAsync(body)).Cache, (string[])["HIT", "STALE"]);
            }
            catch (Exception e) when (what == "stream cut" && e is HttpRequestException or IOException)
            {
            }

            Assert.Equal(i, Calls);
        }

        Assert.Equal(0, _cache.Memory.Count);
    }

    [Fact]
    public async Task ModelUnreachable_ExpiredAnswer_StandsIn_ForAWhile()
    {
        await _cache.AskAsync(Body);
        _cache.Clock.Advance(TimeSpan.FromHours(25));
        _model.Answer = context => FakeInference.Error(context, 503, "away");
        var stale = await _cache.AskAsync(Body);
        Assert.Equal(("STALE", 200, CacheStatus.Stale), (stale.Cache, stale.Status, stale.Outcome.Cache));
        Assert.InRange(stale.Age!.Value.TotalHours, 25, 25.1);

        // Not for whoever wants a newer one; nor for an answer that says what is wrong with the request.
        Assert.Equal(503, (await _cache.AskAsync(Body, CacheControl.Always with { MaxAge = TimeSpan.FromHours(1) })).Status);
        _model.Answer = context => FakeInference.Error(context, 400, "bad");
        Assert.Equal(400, (await _cache.AskAsync(Body)).Status);

        _cache.Clock.Advance(TimeSpan.FromDays(7));
        _model.Answer = context => FakeInference.Error(context, 503, "away");
        Assert.Equal(503, (await _cache.AskAsync(Body)).Status);
    }

    [Fact]
    public async Task AnotherModel_AnswersUnderTheName_OlderAnswersAreNotUsed()
    {
        await _cache.AskAsync(Body);
        _model.Answer = context => FakeInference.Text(
            context, 200, FakeInference.Completion("new").Replace("fake-model", "other-model", StringComparison.Ordinal));
        await _cache.AskAsync(Body.Replace("hi", "else", StringComparison.Ordinal));

        Assert.Equal("MISS", (await _cache.AskAsync(Body)).Cache);
        Assert.Equal("HIT", (await _cache.AskAsync(Body)).Cache);
    }

    [Fact]
    public async Task TooLargeARequest_PassesWithoutBeingRead()
    {
        var large = $$"""{"model":"m","messages":[{"role":"user","content":"{{new string('x', 3_000_000)}}"}]}""";
        Assert.Equal("BYPASS", (await _cache.AskAsync(large)).Cache);
        Assert.Equal("BYPASS", (await _cache.AskAsync(large, adapt: request => request.Headers.TransferEncodingChunked = true)).Cache);
        Assert.All(_model.Seen, seen => Assert.Equal(large.Length, seen.Body.Length));
    }

    [Fact]
    public async Task RequestsThatAreNotJson_PassAsTheyCame()
    {
        foreach (var body in (string[])["", "no", "[]", """{"a":1,"a":2}"""])
        {
            Assert.Equal("BYPASS", (await _cache.AskAsync(body)).Cache);
            Assert.Equal(body, System.Text.Encoding.UTF8.GetString(_model.Seen.Last().Body));
        }
    }

    [Fact]
    public async Task Memory_IsBounded_AndWhatIsUsedStays()
    {
        await using var cache = await CacheInstance.StartAsync(_model.Address, settings: ("ResponseCache:MaxMemoryBytes", "8000"));
        for (var i = 0; i < 30; i++)
        {
            await cache.AskAsync(Body);
            await cache.AskAsync(Body.Replace("hi", $"other {i}", StringComparison.Ordinal));
        }

        Assert.InRange(cache.Memory.Bytes, 1, 8000);
        Assert.InRange(cache.Memory.Count, 2, 12);
        Assert.Equal(31, Calls);
    }

    [Fact]
    public async Task SwitchedOff_NothingIsKept()
    {
        await using var cache = await CacheInstance.StartAsync(_model.Address, settings: ("LLM_CACHE_ENABLED", "false"));
        await cache.AskAsync(Body);
        Assert.Equal(("BYPASS", 2), ((await cache.AskAsync(Body)).Cache, Calls));
    }

    [Theory]
    [InlineData("60", 61)]
    [InlineData("00:01:00", 61)]
    public async Task Ttl_ByVariable_Holds(string ttl, int seconds)
    {
        await using var cache = await CacheInstance.StartAsync(_model.Address, settings: ("LLM_CACHE_TTL", ttl));
        await cache.AskAsync(Body);
        Assert.Equal("HIT", (await cache.AskAsync(Body)).Cache);
        cache.Clock.Advance(TimeSpan.FromSeconds(seconds));
        Assert.Equal("MISS", (await cache.AskAsync(Body)).Cache);
    }

    [Theory]
    [InlineData("LLM_CACHE_TTL", "soon")]
    [InlineData("LLM_CACHE_TTL", "0")]
    [InlineData("LLM_CACHE_ENABLED", "maybe")]
    [InlineData("ResponseCache:MaxAnswerBytes", "0")]
    public async Task SettingsThatMakeNoSense_StopTheStart(string key, string value)
    {
        var refused = await Assert.ThrowsAnyAsync<Exception>(() => CacheInstance.StartAsync(_model.Address, settings: (key, value)));
        Assert.Contains(key == "LLM_CACHE_TTL" && value == "0" ? "ResponseCache:Ttl" : key, refused.Message, StringComparison.Ordinal);
    }

    private static async Task AnswerAsync(HttpContext context, string what)
    {
        switch (what)
        {
            case "length" or "content_filter":
                await FakeInference.Text(context, 200, FakeInference.Completion("x", what));
                break;
            case "one of two":
                await FakeInference.Text(
                    context, 200,
                    """
                    {"id":"1","model":"fake-model","choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"},
                    {"index":1,"message":{"content":"b"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}
                    """);
                break;
            case "no finish":
                await FakeInference.Text(
                    context, 200,
                    """
                    {"id":"1","model":"fake-model","choices":[{"index":0,"message":{"content":"a"}}],
                    "usage":{"prompt_tokens":1,"completion_tokens":1}}
                    """);
                break;
            case "no usage":
                await FakeInference.Text(
                    context, 200,
                    """{"id":"1","model":"fake-model","choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}""");
                break;
            case "error 500" or "error 429":
                await FakeInference.Error(context, what == "error 500" ? 500 : 429, "no");
                break;
            case "error in 200":
                await FakeInference.Text(
                    context, 200,
                    """
                    {"error":{"message":"no"},"model":"m","choices":[{"finish_reason":"stop"}],
                    "usage":{"prompt_tokens":1,"completion_tokens":1}}
                    """);
                break;
            case "error event":
                await FakeInference.Event(context, FakeInference.Chunk("x"));
                await FakeInference.Event(context, """{"error":{"message":"no"}}""");
                await FakeInference.Event(context, FakeInference.Chunk("", "stop"));
                await FakeInference.Event(context, FakeInference.UsageChunk());
                await FakeInference.Event(context, "[DONE]");
                break;
            case "stream without DONE":
                await FakeInference.Event(context, FakeInference.Chunk("x", "stop"));
                await FakeInference.Event(context, FakeInference.UsageChunk());
                break;
            case "stream cut":
                await FakeInference.Event(context, FakeInference.Chunk("x"));
                context.Abort();
                break;
            case "stream length":
                await FakeInference.Event(context, FakeInference.Chunk("x", "length"));
                await FakeInference.Event(context, FakeInference.UsageChunk());
                await FakeInference.Event(context, "[DONE]");
                break;
            case "not JSON":
                await FakeInference.Text(context, 200, "hello", "text/plain");
                break;
            case "fallback header":
                context.Response.Headers["x-valuecanvas-fallback"] = "1";
                await FakeInference.Text(context, 200, FakeInference.Completion("x"));
                break;
            case "fallback comment":
                await FakeInference.Stream(context, "x");
                await context.Response.WriteAsync(": x-valuecanvas-target: a; x-valuecanvas-attempts: 2; x-valuecanvas-fallback: 1\n\n");
                break;
            case "encoded":
                context.Response.Headers.ContentEncoding = "gzip";
                await FakeInference.Text(context, 200, FakeInference.Completion("x"));
                break;
            default:
                await FakeInference.Text(context, 200, FakeInference.Completion(new string('x', 300_000)));
                break;
        }
    }
}
