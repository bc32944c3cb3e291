using System.Diagnostics;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Http;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>Tokens: reserved before the model is asked, settled by what it told, whatever became of the answer.</summary>
public sealed class TokenLimitTests(ServersFixture servers) : IAsyncLifetime
{
    private const int Limit = 10_000;

    private string _prefix = "";
    private FakeInference _inference = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _prefix = $"tokens-{Guid.NewGuid():N}";
        _inference = await FakeInference.StartAsync();
    }

    public ValueTask DisposeAsync() => _inference.DisposeAsync();

    [Theory]
    [InlineData("token_bucket")]
    [InlineData("sliding_window")]
    [InlineData("fixed_window")]
    public async Task Strict_HundredTokensAMinuteFiveParallelCallers_AtMostHundredAreUsed(string algorithm)
    {
        var used = 0;
        _inference.Answer = context =>
        {
            Interlocked.Add(ref used, 10);
            return FakeInference.Text(context, 200, FakeInference.Completion("Hello."));
        };
        // The prompt's bytes and the model's template are counted as tokens until it is over, so the limit is in a realistic place above.
        await using var api = Host(Tokens("strict", 1000, ("Algorithm", algorithm), ("MaxWait", "00:00:00.2")));
        var started = Stopwatch.GetTimestamp();
        var statuses = new List<HttpStatusCode>();

        await Task.WhenAll(Enumerable.Range(0, 5).Select(async _ =>
        {
            for (var i = 0; i < 40; i++)
            {
                using var response = await api.PostAsync("/v1/chat/completions", Chat(maxTokens: 3));
                lock (statuses)
                    statuses.Add(response.StatusCode);
            }
        }));

        Assert.InRange(used, 100, algorithm == "token_bucket" ? Most(1000, started) : 1000);
        Assert.All(statuses, status => Assert.True(status is HttpStatusCode.OK or HttpStatusCode.TooManyRequests));
        Assert.Contains(HttpStatusCode.TooManyRequests, statuses);
    }

    [Fact]
    public async Task Strict_LiteralHundred_FiveParallelCallersUseAtMostHundred()
    {
        var used = 0;
        _inference.Answer = context =>
        {
            Interlocked.Add(ref used, 4);
            return FakeInference.Text(
                context, 200, """{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":4,"total_tokens":4}}""");
        };
        await using var api = Host(Tokens("strict", 100, ("MaxWait", "00:00:00.1")));
        var started = Stopwatch.GetTimestamp();

        await Task.WhenAll(Enumerable.Range(0, 5).Select(async _ =>
        {
            for (var i = 0; i < 20; i++)
            {
                using var response = await api.PostAsync("/v1/embeddings", """{"model":"m","input":"x"}""");
                Assert.True(response.StatusCode is HttpStatusCode.OK or HttpStatusCode.TooManyRequests, await Text(response));
            }
        }));

        Assert.InRange(used, 4, Most(100, started));
    }

    [Fact]
    public async Task Strict_FiveParallelStreamsThatAreReadOrLeft_UseAtMostTheLimit()
    {
        var used = 0;
        _inference.Answer = async context =>
        {
            // A token for each piece that is sent, and 7 for the prompt.
            Interlocked.Add(ref used, 7);
            foreach (var piece in new[] { "Hel", "lo" })
            {
                Interlocked.Increment(ref used);
                await FakeInference.Event(context, FakeInference.Chunk(piece));
            }

            await FakeInference.Event(context, FakeInference.UsageChunk());
            await FakeInference.Event(context, "[DONE]");
        };
        await using var api = Host(Tokens("strict", 1000, ("Algorithm", "sliding_window"), ("MaxWait", "00:00:00.1")));

        await Task.WhenAll(Enumerable.Range(0, 5).Select(async client =>
        {
            for (var i = 0; i < 30; i++)
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
                {
                    Content = new StringContent(Chat(3, ",\"stream\":true"), Encoding.UTF8, "application/json"),
                };
                using var response = await api.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
                Assert.True(response.StatusCode is HttpStatusCode.OK or HttpStatusCode.TooManyRequests);
                if (client % 2 == 0)
                    await Text(response);
            }
        }));

        // What a stream that is left may have used stays reserved, so the least is little.
        Assert.InRange(used, 90, 1000);
    }

    [Fact]
    public async Task Strict_WithoutMaxTokens_IsToldToSayHowMany()
    {
        await using var api = Host(Tokens("strict", 1000));
        using var openAi = await api.PostAsync("/v1/chat/completions", """{"model":"m","messages":[{"role":"user","content":"Hi"}]}""");
        using var own = await api.PostAsync("/api/llm/chat", """{"prompt":"Hi"}""");

        Assert.Equal("max_tokens", (await ApiHost.OpenAiErrorAsync(openAi, 400)).GetProperty("param").GetString());
        Assert.True((await ApiHost.ProblemAsync(own, 400)).GetProperty("errors").TryGetProperty("maxTokens", out _));
        Assert.Empty(_inference.Seen);
    }

    [Fact]
    public async Task Strict_NeedsMoreThanTheLimit_IsRefusedWithoutATimeToWait()
    {
        await using var api = Host(Tokens("strict", 100));
        using var response = await api.PostAsync("/v1/chat/completions", Chat(maxTokens: 500));

        var error = await ApiHost.OpenAiErrorAsync(response, 429);
        Assert.Equal("tokens", error.GetProperty("type").GetString());
        Assert.StartsWith("Request too large", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Null(response.Headers.RetryAfter);
    }

    [Fact]
    public async Task Strict_RoomComesSoon_TheRequestWaitsForIt()
    {
        // 6,000 a minute: 100 a second. The first takes the whole bucket and gives it back but for 10.
        var release = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            await release.Task.WaitAsync(context.RequestAborted);
            await FakeInference.Text(context, 200, FakeInference.Completion("Hello."));
        };
        await using var api = Host(Tokens("strict", 6000, ("MaxWait", "00:00:20")));
        var first = api.PostAsync("/v1/chat/completions", Chat(maxTokens: 5800));
        await LimiterInstance.UntilAsync(() => _inference.Seen.Count == 1);

        var second = api.PostAsync("/v1/chat/completions", Chat(maxTokens: 100));
        await LimiterInstance.UntilAsync(() => _inference.Seen.Count == 2);
        release.SetResult();

        using var one = await first;
        using var two = await second;
        Assert.Equal((200, 200), ((int)one.StatusCode, (int)two.StatusCode));
    }

    // Each of these uses 10 tokens (or what is said) in one of the ways that there are.
    [Theory]
    [InlineData("/v1/chat/completions", """{"model":"m","max_tokens":500,"messages":[{"role":"user","content":"Hi"}]}""", 10)]
    [InlineData(
        "/v1/chat/completions",
        """{"model":"m","max_tokens":500,"stream":true,"stream_options":{"include_usage":true},"messages":[]}""",
        9)]
    [InlineData("/v1/completions", """{"model":"m","prompt":"Hi","max_tokens":500}""", 10)]
    [InlineData("/v1/embeddings", """{"model":"m","input":"Hi"}""", 10)]
    [InlineData("/api/llm/chat", """{"prompt":"Hi","maxTokens":500}""", 10)]
    [InlineData("/api/llm/chat", """{"prompt":"Hi","maxTokens":500,"stream":true}""", 9)]
    [InlineData("/generate", """{"prompt":"Hi","maxTokens":500}""", 10)]
    public async Task Answer_OfEachKind_IsSettledByTheUsageThatItTells(string path, string body, int used)
    {
        _inference.Answer = context => body.Contains("\"stream\":true", StringComparison.Ordinal)
            ? FakeInference.Stream(context, "Hel", "lo.")
            : FakeInference.Text(context, 200, FakeInference.Completion("Hello."));
        foreach (var mode in new[] { "strict", "estimate" })
        {
            _prefix = $"tokens-{Guid.NewGuid():N}";
            await using var api = Host(Tokens(mode, Limit, ("Algorithm", "sliding_window")));
            using (var response = await api.PostAsync(path, body))
                Assert.Equal("", response.IsSuccessStatusCode ? "" : await Text(response));

            // The answer is whole before it is settled.
            await LimiterInstance.UntilAsync(async () => await RemainingAsync() == Limit - used);
        }
    }

    [Fact]
    public async Task Stream_ThatTellsNoUsage_IsSettledByWhatItSaid()
    {
        _inference.Answer = async context =>
        {
            foreach (var piece in new[] { "Hel", "lo", "." })
                await FakeInference.Event(context, FakeInference.Chunk(piece));
            await FakeInference.Event(context, "[DONE]");
        };
        await using var api = Host(Tokens("estimate", Limit, ("Algorithm", "sliding_window")));
        using (var response = await api.PostAsync("/v1/chat/completions", Chat(500, ",\"stream\":true")))
            await Text(response);

        // Some 25 for the prompt's 90 bytes and 3 pieces, where 500 were reserved. The answer is whole before it is settled.
        await LimiterInstance.UntilAsync(async () => await RemainingAsync() > Limit - 500);
        Assert.InRange(await RemainingAsync(), Limit - 60, Limit - 10);
    }

    [Fact]
    public async Task Stream_Left_IsSettledByWhatHadCome()
    {
        var left = new TaskCompletionSource();
        _inference.Answer = async context =>
        {
            context.RequestAborted.Register(() => left.TrySetResult());
            await FakeInference.Event(context, FakeInference.Chunk("Hel"));
            await left.Task.WaitAsync(TimeSpan.FromSeconds(20));
        };
        await using var api = Host(Tokens("estimate", Limit, ("Algorithm", "sliding_window")));
        using (var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(Chat(500, ",\"stream\":true"), Encoding.UTF8, "application/json"),
        })
        using (var response = await api.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel))
        {
            await using var body = await response.Content.ReadAsStreamAsync(Cancel);
            Assert.True(await body.ReadAsync(new byte[64], Cancel) > 0);
        }

        await left.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        // Neither all of it, nor nothing.
        var remaining = 0L;
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        for (var i = 0; i < 200 && remaining is < Limit - 60; i++)
        {
            await tick.WaitForNextTickAsync(Cancel);
            remaining = await RemainingAsync();
        }

        Assert.InRange(remaining, Limit - 60, Limit - 10);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(404)]
    [InlineData(429)]
    [InlineData(503)]
    public async Task ModelServer_Refuses_NothingIsOwed(int status)
    {
        _inference.Answer = context => FakeInference.Error(context, status, "no");
        await using var api = Host(Tokens("strict", Limit, ("Algorithm", "sliding_window")));
        using (var response = await api.PostAsync("/v1/chat/completions", Chat(500)))
            Assert.Equal(status, (int)response.StatusCode);
        using (var response = await api.PostAsync("/api/llm/chat", """{"prompt":"Hi","maxTokens":500}"""))
            Assert.False(response.IsSuccessStatusCode);

        await LimiterInstance.UntilAsync(async () => await RemainingAsync() == Limit);
    }

    [Fact]
    public async Task Estimate_TooLittle_IsADebtThatLaterRequestsRepay()
    {
        _inference.Answer = context => FakeInference.Text(
            context, 200, """{"object":"list","data":[],"usage":{"prompt_tokens":3000,"total_tokens":3000}}""");
        await using var api = Host(Tokens("estimate", 1000, ("Algorithm", "token_bucket")));
        using (var first = await api.PostAsync("/v1/embeddings", """{"model":"m","input":"Hi"}"""))
            Assert.Equal(200, (int)first.StatusCode);
        // The answer is whole before it is settled: the key of the bucket lives until that is full again.
        using var redis = await RedisConnection.OpenAsync(servers.Redis);
        await LimiterInstance.UntilAsync(async () =>
            await redis.Database.KeyTimeToLiveAsync(redis.Server.Keys(pattern: $"{{{_prefix}:limits}}:b60000:tokens:*")
                .SingleOrDefault(key => !key.ToString().EndsWith(":open", StringComparison.Ordinal))) > TimeSpan.FromMinutes(2));
        using var second = await api.PostAsync("/v1/embeddings", """{"model":"m","input":"Hi"}""");

        Assert.Equal(429, (int)second.StatusCode);
        // 2,000 over at 1,000 a minute.
        Assert.InRange(second.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 110, 125);
    }

    [Fact]
    public async Task Body_ReadForItsTokens_PassesByteForByte()
    {
        _inference.Answer = context => FakeInference.Text(context, 200, FakeInference.Completion("Hello."));
        await using var api = Host(Tokens("estimate", 1_000_000));
        var body = Encoding.UTF8.GetBytes(
            "{ \"model\" : \"m\",\n\"messages\":[{\"role\":\"user\",\"content\":\"" + new string('é', 40_000) + "\"}] }");
        using var response = await api.PostAsync("/v1/chat/completions", body);
        using var garbage = await api.PostAsync("/v1/chat/completions", [0, 255, 7], type: null);

        Assert.Equal(body, _inference.Seen.ElementAt(0).Body);
        Assert.Equal([0, 255, 7], _inference.Seen.ElementAt(1).Body);
    }

    [Fact]
    public async Task Body_NoRoomForMore_Is503AndRoomComesBack()
    {
        await using var api = Host([.. Tokens("estimate", 1_000_000), ("RateLimiting:MaxBufferedBytes", "20000")]);
        using (var large = await api.PostAsync("/v1/chat/completions", Chat(5, ",\"x\":\"" + new string('x', 30_000) + "\"")))
        {
            Assert.Equal(503, (int)large.StatusCode);
            Assert.NotNull(large.Headers.RetryAfter);
        }

        for (var i = 0; i < 20; i++)
        {
            using var small = await api.PostAsync("/v1/chat/completions", Chat(5));
            Assert.Equal(200, (int)small.StatusCode);
        }
    }

    private (string Key, string Value)[] Tokens(string mode, int limit, params (string Key, string Value)[] more) => LimitHttpTests.Policy(
        "tokens",
        [("Unit", "tokens"), ("Mode", mode), ("Limit", $"{limit}"), ("Scope", "tenant"), .. more])
        .Append(("RateLimiting:Prefix", _prefix)).ToArray();

    private static string Chat(int maxTokens, string more = "") =>
        $$"""{"model":"m","max_tokens":{{maxTokens}},"messages":[{"role":"user","content":"Hi"}]{{more}}}""";

    private static Task<string> Text(HttpResponseMessage response) => response.Content.ReadAsStringAsync(Cancel);

    // A bucket fills up again meanwhile.
    private static int Most(int perMinute, long started) =>
        perMinute + (int)Math.Ceiling(perMinute * Stopwatch.GetElapsedTime(started).TotalMinutes);

    /// <summary>What Redis has left for the one who asks, read where it is counted.</summary>
    private async Task<long> RemainingAsync()
    {
        using var redis = await RedisConnection.OpenAsync(servers.Redis);
        var key = redis.Server.Keys(pattern: $"{{{_prefix}:limits}}:s60000:tokens:*")
            .SingleOrDefault(key => !key.ToString().EndsWith(":open", StringComparison.Ordinal));
        return Limit - await LimitTestData.WindowSumAsync(redis.Database, key.ToString());
    }

    // A loaded machine is not a Redis that is late.
    private ApiHost Host((string Key, string Value)[] settings) => new(
        _inference.Address, cache: servers.Redis, settings: [("RateLimiting:RedisTimeout", "00:00:01"), .. settings]);
}
