using System.Net;
using System.Text.Json;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Api.Cache;

public sealed class CacheEndpointTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>, IAsyncLifetime
{
    private const string Ask = """{"model":"m","temperature":0,"messages":[{"role":"user","content":"Hi"}]}""";

    private FakeInference _inference = null!;
    private ApiHost _api = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _inference = await FakeInference.StartAsync();
        _api = new ApiHost(
            _inference.Address, database.App, settings: [("ResponseCache:Enabled", "true"), ("ResponseCache:WriteInterval", "00:00:00.050"),
                ("RateLimiting:Enabled", "false")]);
    }

    public async ValueTask DisposeAsync()
    {
        await _api.DisposeAsync();
        await _inference.DisposeAsync();
    }

    [Fact]
    public async Task Warmed_Asked_Counted_AndInvalidated()
    {
        // The other tests of this class count for the same tenant.
        var before = await StatisticsAsync();
        using (var warmed = await _api.PostAsync(
            "/api/cache/warm", $$"""{"requests":[{{Ask}},{{Ask.Replace("Hi", "Ho")}},{"model":"m","messages":[]}],"concurrency":2}"""))
        {
            var data = await DataAsync(warmed);
            Assert.Equal((3, 0), (data.GetProperty("warmed").GetInt32(), data.GetProperty("failed").GetInt32()));
            Assert.All(data.GetProperty("results").EnumerateArray(), result => Assert.Equal(
                "MISS", result.GetProperty("cache").GetString()));
        }

        Assert.Equal(3, _inference.Seen.Count);
        using (var hit = await _api.PostAsync("/v1/chat/completions", Ask))
        {
            Assert.Equal("HIT", hit.Headers.GetValues("x-cache").Single());
            Assert.NotNull(hit.Headers.Age);
        }

        await UntilAsync(async () => Count(await StatisticsAsync(), "hits") == Count(before, "hits") + 1);
        var statistics = await StatisticsAsync();
        Assert.Equal((3, 3, 24), (
            Count(statistics, "misses") - Count(before, "misses"), Count(statistics, "entries") - Count(before, "entries"), Count(
                statistics, "hours")));
        Assert.Equal(
            Count(statistics, "hits") / (double)(Count(statistics, "hits") + Count(statistics, "misses")),
            statistics.GetProperty("hitRate").GetDouble(), 0.0001);
        Assert.Contains(statistics.GetProperty("byModel").EnumerateArray(), model => model.GetProperty("model").GetString() == "m");

        using (var dropped = await _api.PostAsync("/api/cache/invalidate", """{"tags":["model:m"]}"""))
            Assert.Equal(HttpStatusCode.OK, dropped.StatusCode);
        Assert.Equal("MISS", await CacheAsync());
        Assert.Equal("HIT", await CacheAsync());
        using (var dropped = await _api.PostAsync("/api/admin/cache/invalidate", """{"tags":["*"]}"""))
            Assert.Equal(HttpStatusCode.OK, dropped.StatusCode);
        Assert.Equal("MISS", await CacheAsync());
    }

    [Fact]
    public async Task ChatIsKeptByDefault_AndSaysSo()
    {
        var prompt = $$"""{"prompt":"{{Guid.NewGuid()}}"}""";
        using (var first = await _api.PostAsync("/api/llm/chat", prompt))
        {
            Assert.Equal(("MISS", false), (first.Headers.GetValues("x-cache").Single(), (await DataAsync(first))
                .GetProperty("cached").GetBoolean()));
        }

        using (var second = await _api.PostAsync("/generate", prompt))
        {
            var data = await DataAsync(second);
            Assert.Equal(("HIT", true, 0m), (second.Headers.GetValues("x-cache").Single(), data.GetProperty(
                "cached").GetBoolean(), data.GetProperty("cost").GetDecimal()));
            Assert.NotNull(second.Headers.Age);
        }

        using var streamed = await _api.PostAsync(
            "/api/llm/chat", prompt.Replace("{\"prompt\"", "{\"stream\":true,\"prompt\"", StringComparison.Ordinal));
        Assert.Equal("HIT", streamed.Headers.GetValues("x-cache").Single());
        Assert.Contains("\"cached\":true", await streamed.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/llm/chat") { Content = new StringContent(prompt) };
        request.Headers.CacheControl = new() { NoCache = true };
        using var fresh = await _api.Client.SendAsync(request, Cancel);
        Assert.Equal("MISS", fresh.Headers.GetValues("x-cache").Single());
    }

    [Theory]
    [InlineData("/api/cache/invalidate", """{"tags":[]}""", "tags")]
    [InlineData("/api/cache/invalidate", """{"tags":["a b"]}""", "tags[0]")]
    [InlineData("/api/cache/invalidate", "{}", "tags")]
    [InlineData("/api/cache/warm", """{"requests":[]}""", "requests")]
    [InlineData("/api/cache/warm", """{"requests":[1]}""", "requests[0]")]
    [InlineData("/api/cache/warm", """{"requests":[{"model":1}]}""", "requests[0].model")]
    [InlineData("/api/cache/warm", """{"requests":[{}],"concurrency":9}""", "concurrency")]
    public async Task BodyThatIsNotValid_Is400(string path, string body, string field)
    {
        using var refused = await _api.PostAsync(path, body);
        var problem = await ApiHost.ProblemAsync(refused, 400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _), problem.GetRawText());
    }

    [Theory]
    [InlineData("0")]
    [InlineData("x")]
    [InlineData("99999")]
    public async Task Hours_OutOfRange_Is400(string hours)
    {
        using var refused = await _api.GetAsync($"/api/cache?hours={hours}");
        await ApiHost.ProblemAsync(refused, 400);
    }

    private async Task<string> CacheAsync()
    {
        using var response = await _api.PostAsync("/v1/chat/completions", Ask);
        return response.Headers.GetValues("x-cache").Single();
    }

    private static long Count(JsonElement statistics, string name) => statistics.GetProperty(name).GetInt64();

    private async Task<JsonElement> StatisticsAsync()
    {
        using var response = await _api.GetAsync("/api/cache");
        return await DataAsync(response);
    }

    private static async Task<JsonElement> DataAsync(HttpResponseMessage response)
    {
        var json = await ApiHost.JsonAsync(response);
        Assert.True(response.IsSuccessStatusCode, json.GetRawText());
        return json.GetProperty("data");
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        bound.CancelAfter(TimeSpan.FromSeconds(20));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!await condition())
            await tick.WaitForNextTickAsync(bound.Token);
    }
}
