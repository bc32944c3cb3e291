using System.Text;
using System.Text.Json;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Api;

/// <summary>Whatever a client sends, the answer is a 4xx that says what to change.</summary>
public sealed class BadInputTests : IClassFixture<BadInputTests.Fixture>
{
    private readonly FakeInference _inference;
    private readonly ApiHost _api;

    public BadInputTests(Fixture fixture)
    {
        (_inference, _api) = (fixture.Inference, fixture.Api);
        _inference.Seen.Clear();
    }

    [Theory]
    [InlineData("/api/llm/chat", "{", "not valid JSON (line 1")]
    [InlineData("/api/llm/chat", "{\"prompt\": \"a\",}", "not valid JSON")]
    [InlineData("/api/llm/chat", "", "body is empty")]
    [InlineData("/api/llm/chat", "null", "body is null")]
    [InlineData("/api/llm/chat", "[]", "not a JSON object")]
    [InlineData("/api/llm/chat", "7", "not a JSON object")]
    [InlineData("/generate", "{", "not valid JSON")]
    [InlineData("/api/canvas/generate", "{", "not valid JSON")]
    [InlineData("/api/canvas/generate", "", "body is empty")]
    public async Task Body_NotAnObject_IsAClear400(string path, string body, string detail)
    {
        var problem = await ApiHost.ProblemAsync(await _api.PostAsync(path, body), 400);

        Assert.Contains(detail, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Empty(_inference.Seen);
    }

    [Theory]
    [InlineData("/api/llm/chat", "{}", "prompt", "is required, unless messages are given")]
    [InlineData("/api/llm/chat", """{"prompt":" "}""", "prompt", "must not be empty")]
    [InlineData("/api/llm/chat", """{"prompt":5}""", "prompt", "must be a string")]
    [InlineData("/api/llm/chat", """{"prompt":"a","messages":[{"role":"user","content":"b"}]}""", "prompt",
        "must not be given together with messages")]
    [InlineData("/api/llm/chat", """{"messages":[]}""", "messages", "at least one message")]
    [InlineData("/api/llm/chat", """{"messages":"hi"}""", "messages", "must be an array")]
    [InlineData("/api/llm/chat", """{"messages":[null]}""", "messages[0]", "must be an object with role and content")]
    [InlineData("/api/llm/chat", """{"messages":["hi"]}""", "messages[0]", "must be an object")]
    [InlineData("/api/llm/chat", """{"messages":[{"role":"robot","content":"a"}]}""", "messages[0].role",
        "one of: system, user, assistant")]
    [InlineData("/api/llm/chat", """{"messages":[{"role":"user"}]}""", "messages[0].content", "must not be empty")]
    [InlineData("/api/llm/chat", """{"messages":[{"role":"user","content":3}]}""", "messages[0].content", "must be a string")]
    [InlineData("/api/llm/chat", """{"prompt":"a","temperature":"hot"}""", "temperature", "must be a number")]
    [InlineData("/api/llm/chat", """{"prompt":"a","temperature":2.5}""", "temperature", "between 0 and 2")]
    [InlineData("/api/llm/chat", """{"prompt":"a","maxTokens":1.5}""", "maxTokens", "must be an integer")]
    [InlineData("/api/llm/chat", """{"prompt":"a","maxTokens":0}""", "maxTokens", "between 1 and")]
    [InlineData("/api/llm/chat", """{"prompt":"a","maxTokens":99999999999999}""", "maxTokens", "must be an integer")]
    [InlineData("/api/llm/chat", """{"prompt":"a","stream":"yes"}""", "stream", "must be true or false")]
    [InlineData("/api/llm/chat", """{"prompt":"a","riskLevel":"huge"}""", "riskLevel", "one of: low, medium, high, critical")]
    [InlineData("/api/llm/chat", """{"prompt":"a","model":""}""", "model", "must not be empty")]
    [InlineData("/generate", "{}", "prompt", "is required")]
    [InlineData("/api/canvas/generate", "{}", "businessDescription", "is required")]
    [InlineData("/api/canvas/generate", """{"businessDescription":["a"]}""", "businessDescription", "must be a string")]
    [InlineData("/api/canvas/generate", """{"businessDescription":""}""", "businessDescription", "must not be empty")]
    [InlineData("/api/canvas/generate", """{"businessDescription":"a\u0000"}""", "businessDescription", "U+0000")]
    [InlineData("/api/canvas/generate", """{"businessDescription":"a","industry":{}}""", "industry", "must be a string")]
    [InlineData("/api/canvas/generate", """{"businessDescription":"a","type":"swot"}""", "type",
        "one of: value_proposition, business_model, lean")]
    public async Task Field_Wrong_IsA400ThatNamesIt(string path, string body, string field, string message)
    {
        var problem = await ApiHost.ProblemAsync(await _api.PostAsync(path, body), 400);

        var errors = problem.GetProperty("errors");
        Assert.Contains(message, Assert.Single(errors.GetProperty(field).EnumerateArray()).GetString(), StringComparison.Ordinal);
        Assert.Contains(field, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Empty(_inference.Seen);
    }

    [Fact]
    public async Task Description_TooLong_Is400() => await ApiHost.ProblemAsync(
        await _api.PostAsync("/api/canvas/generate", JsonSerializer.Serialize(new { businessDescription = new string('x', 20_001) })), 400);

    [Fact]
    public async Task Body_LoneSurrogate_Is400() =>
        await ApiHost.ProblemAsync(await _api.PostAsync("/api/llm/chat", """{"prompt":"\ud800"}"""), 400);

    [Fact]
    public async Task Body_InvalidUtf8_Is400()
    {
        byte[] body = [.. "{\"prompt\":\""u8, 0xff, 0xfe, .. "\"}"u8];

        var problem = await ApiHost.ProblemAsync(await _api.PostAsync("/api/llm/chat", body), 400);

        Assert.Contains("UTF-8", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_NestedTooDeeply_Is400()
    {
        var body = $"{{\"prompt\":\"a\",\"x\":{new string('[', 5000)}{new string(']', 5000)}}}";

        var problem = await ApiHost.ProblemAsync(await _api.PostAsync("/api/llm/chat", body), 400);

        Assert.Contains("64 levels", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/api/llm/chat")]
    [InlineData("/generate")]
    [InlineData("/api/canvas/generate")]
    public async Task Body_Of10Megabytes_Is413(string path)
    {
        var body = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new { prompt = new string('x', 10_000_000) }));

        var problem = await ApiHost.ProblemAsync(await _api.PostAsync(path, body), 413);

        Assert.Contains("1,024 KiB", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        // The connection is still good.
        Assert.True((await _api.GetAsync("/health/live")).IsSuccessStatusCode);
    }

    [Fact]
    public async Task Body_ChunkedOf10Megabytes_Is413()
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Post, "/api/llm/chat") { Content = new ByteArrayContent(new byte[10_000_000]) };
        request.Headers.TransferEncodingChunked = true;

        using var response = await _api.Client.SendAsync(request, TestContext.Current.CancellationToken);

        await ApiHost.ProblemAsync(response, 413);
    }

    [Fact]
    public async Task Body_AsAForm_Is400ThatAsksForJson()
    {
        var response = await _api.PostAsync("/api/llm/chat", "prompt=a"u8.ToArray(), "application/x-www-form-urlencoded");

        var problem = await ApiHost.ProblemAsync(response, 400);

        Assert.Contains("not valid JSON", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("application/x-www-form-urlencoded")] // what curl -d says
    [InlineData("text/plain;charset=UTF-8")]
    [InlineData("bogus")]
    public async Task Body_OfAnyType_IsTakenAsJson(string? type) => Assert.True(
        (await _api.PostAsync("/api/llm/chat", """{"prompt":"a"}"""u8.ToArray(), type)).IsSuccessStatusCode);

    [Fact]
    public async Task Body_WithByteOrderMarkAndUnknownFields_IsTaken() => Assert.True(
        (await _api.PostAsync("/api/llm/chat", "\uFEFF{\"prompt\":\"a\",\"colour\":1}")).IsSuccessStatusCode);

    [Fact]
    public async Task Path_Unknown_Is404AsTheAreaSpeaks()
    {
        await ApiHost.ProblemAsync(await _api.GetAsync("/api/nothing"), 404);
        await ApiHost.ProblemAsync(await _api.GetAsync("/nothing"), 404);
        await ApiHost.OpenAiErrorAsync(await _api.GetAsync("/v1/nothing"), 404);
    }

    [Fact]
    public async Task Method_Wrong_Is405ThatNamesTheRightOne()
    {
        var chat = await _api.GetAsync("/api/llm/chat");
        await ApiHost.ProblemAsync(chat, 405);
        Assert.Equal(["POST"], chat.Content.Headers.Allow);
        await ApiHost.OpenAiErrorAsync(await _api.GetAsync("/v1/chat/completions"), 405);
        await ApiHost.OpenAiErrorAsync(await _api.PostAsync("/v1/models", "{}"), 405);
    }

    [Fact]
    public async Task OpenAiBody_Of40Megabytes_Is413() =>
        await ApiHost.OpenAiErrorAsync(await _api.PostAsync("/v1/chat/completions", new byte[40_000_000]), 413);

    [Fact]
    public async Task CanvasId_Malformed_IsAProblemThatSaysSo()
    {
        var problem = await ApiHost.ProblemAsync(await _api.GetAsync("/api/canvas/no-uuid"), 404);

        Assert.Contains("UUID", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=101", "limit")]
    [InlineData("limit=ten", "limit")]
    [InlineData("limit=", "limit")]
    [InlineData("cursor=x", "cursor")]
    [InlineData("cursor=%00%ff", "cursor")]
    [InlineData("cursor=________________________________", "cursor")]
    public async Task CanvasList_BadQuery_NamesTheParameter(string query, string field)
    {
        var problem = await ApiHost.ProblemAsync(await _api.GetAsync($"/api/canvas?{query}"), 400);

        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _));
    }

    /// <summary>For all tests of the class, which are more requests than one caller has.</summary>
    public sealed class Fixture : IAsyncLifetime
    {
        internal FakeInference Inference { get; private set; } = null!;

        internal ApiHost Api { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Inference = await FakeInference.StartAsync();
            Api = new ApiHost(Inference.Address, settings: ("RateLimiting:Policies:api_generation:Enabled", "false"));
        }

        public async ValueTask DisposeAsync()
        {
            await Api.DisposeAsync();
            await Inference.DisposeAsync();
        }
    }
}
