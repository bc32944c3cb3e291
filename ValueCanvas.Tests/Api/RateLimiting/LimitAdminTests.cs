using System.Diagnostics;
using System.Net;
using System.Text;
using System.Text.Json;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Api.Accounts;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>What operators set live, at one instance, holds at every instance within a second; what was refused can be looked up.</summary>
public sealed class LimitAdminTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>, IAsyncLifetime
{
    private readonly string _prefix = $"admin-{Guid.NewGuid():N}";
    private FakeInference _inference = null!;
    private ApiHost _one = null!;
    private ApiHost? _two;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await MigratedDatabase.ExecuteAsync(database.Admin, "DELETE FROM rate_limit_policies; DELETE FROM rate_limit_subjects");
        _inference = await FakeInference.StartAsync();
        _one = Host();
    }

    public async ValueTask DisposeAsync()
    {
        await _one.DisposeAsync();
        if (_two is not null)
            await _two.DisposeAsync();
        await _inference.DisposeAsync();
    }

    [Fact]
    public async Task Put_AtOneInstance_HoldsAtTheOtherSoonAndUntilItIsDeleted()
    {
        Assert.Equal(200, await StatusAsync(Two));
        await Effect.WithinASecondAsync(async () =>
        {
            using (var put = await PutAsync("models", """{"limit":1,"window":"00:10:00","scope":"tenant","routes":["GET /v1/models"]}"""))
                Assert.Equal("live", (await DataAsync(put)).GetProperty("source").GetString());
            var set = await TakesAsync(async () => await StatusAsync(Two) == 429);
            Assert.Equal(429, await StatusAsync(_one));

            using (var deleted = await _one.Client.DeleteAsync("/api/admin/limits/models", Cancel))
                Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
            var gone = await TakesAsync(async () => await StatusAsync(Two) == 200);
            return set > gone ? set : gone;
        });
    }

    [Fact]
    public async Task Put_NameOfAConfiguredPolicy_HidesIt_AndDeleteBringsItBack()
    {
        using (var put = await PutAsync("api_generation", """{"enabled":false,"limit":1}"""))
            Assert.Equal(HttpStatusCode.OK, put.StatusCode);
        using (var response = await _one.PostAsync("/generate", """{"prompt":"Hi"}"""))
            Assert.False(response.Headers.Contains("RateLimit-Policy"));

        using (var deleted = await _one.Client.DeleteAsync("/api/admin/limits/api_generation", Cancel))
            Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        using var again = await _one.GetAsync("/api/admin/limits/api_generation");
        Assert.Equal("configuration", (await DataAsync(again)).GetProperty("source").GetString());
        using var gone = await _one.Client.DeleteAsync("/api/admin/limits/api_generation", Cancel);
        await ApiHost.ProblemAsync(gone, 404);
    }

    [Fact]
    public async Task Subject_BannedAllowedAndReset_ByItsAddress_WhichNothingKeeps()
    {
        Assert.Equal(200, await StatusAsync(Two));
        using (var put = await PutAsync("models", """{"limit":1,"window":"01:00:00","scope":"ip","routes":["GET /v1/models"]}"""))
            Assert.Equal(HttpStatusCode.OK, put.StatusCode);
        Assert.Equal((200, 429), (await StatusAsync(_one), await StatusAsync(_one)));

        await SubjectAsync("""{"subject":"ip:127.0.0.1","action":"reset"}""");
        Assert.Equal((200, 429), (await StatusAsync(_one), await StatusAsync(_one)));

        await SubjectAsync("""{"subject":"ip:127.0.0.1","action":"allow"}""");
        Assert.Equal((200, 200), (await StatusAsync(_one), await StatusAsync(_one)));

        // A ban also bans the operator who made it, by address: from elsewhere it gets its end.
        await SubjectAsync($$"""{"subject":"ip:127.0.0.1","action":"ban","until":"{{In(hours: 1)}}"}""");
        Assert.Equal(403, await StatusAsync(_one));
        await UntilAsync(async () => await StatusAsync(Two) == 403);
        using (var elsewhere = AccountsApi.From("127.0.0.2"))
        {
            (elsewhere.BaseAddress, elsewhere.DefaultRequestHeaders.Authorization) = (_one.Address, new("Bearer", ApiHost.Key));
            await SubjectAsync($$"""{"subject":"ip:127.0.0.1","action":"ban","until":"{{In(seconds: 1)}}"}""", elsewhere);
        }

        await LimiterInstance.UntilAsync(async () => await StatusAsync(_one) == 429);

        await SubjectAsync("""{"subject":"ip:127.0.0.1","action":"none"}""");
        Assert.DoesNotContain("127.0.0.1", await database.ScalarAsync<string>(
            "SELECT coalesce(string_agg(subject, ' '), '') FROM rate_limit_subjects"), StringComparison.Ordinal);
        using var list = await _one.GetAsync("/api/admin/limits");
        var text = await list.Content.ReadAsStringAsync(Cancel);
        Assert.DoesNotContain("127.0.0.1", text, StringComparison.Ordinal);
        Assert.Contains("\"resets\":1", text, StringComparison.Ordinal);

        static string In(int hours = 0, int seconds = 0) =>
            TimeProvider.System.GetUtcNow().Add(new TimeSpan(hours, 0, seconds)).ToString("O");
    }

    [Fact]
    public async Task Override_OfATenant_IsItsLimit()
    {
        using (var put = await PutAsync("models", $$"""
            {"limit":1,"scope":"tenant","routes":["GET /v1/models"],"overrides":[{"subject":"tenant:{{Tenants.Development}}","limit":3}]}
            """))
        {
            Assert.Equal(HttpStatusCode.OK, put.StatusCode);
        }

        var statuses = new List<int>();
        for (var i = 0; i < 4; i++)
            statuses.Add(await StatusAsync(_one));
        Assert.Equal([200, 200, 200, 429], statuses);
    }

    [Fact]
    public async Task Log_CountsRefusalsNearLimitsAndShadows_WithSamplesAndNoAddress()
    {
        await MigratedDatabase.ExecuteAsync(database.Admin, "DELETE FROM rate_limit_logs");
        using (var put = await PutAsync("logged", """{"limit":5,"window":"01:00:00","scope":"ip","routes":["GET /v1/models"]}"""))
            Assert.Equal(HttpStatusCode.OK, put.StatusCode);
        using (var put = await PutAsync(
            "shadowed", """{"limit":1,"window":"01:00:00","scope":"ip","shadow":true,"routes":["GET /v1/models"]}"""))
        {
            Assert.Equal(HttpStatusCode.OK, put.StatusCode);
        }

        for (var i = 0; i < 8; i++)
            await StatusAsync(_one);

        await UntilAsync(async () => await SumAsync("refused", "logged") == 3 && await SumAsync("shadow", "shadowed") >= 7);

        // The fourth and the fifth of five; the shadow is full after the first, and looked at for refused requests as well.
        Assert.Equal(2, await SumAsync("near", "logged"));
        Assert.Equal(7, await SumAsync("shadow", "shadowed"));
        var text = await database.ScalarAsync<string>("SELECT string_agg(row_to_json(l)::text, ' ') FROM rate_limit_logs l");
        Assert.Matches("ip:[0-9a-f]{32}", text);
        Assert.DoesNotContain("127.0.0.1", text, StringComparison.Ordinal);
        Assert.Contains("/v1/models", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Log_TheApplication_CannotReadWhoWasRefused()
    {
        var refused = await Assert.ThrowsAsync<Npgsql.PostgresException>(
            () => database.ScalarAsync<string>("SELECT string_agg(subject, ' ') FROM rate_limit_logs", database.App));

        Assert.Equal(Npgsql.PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
    }

    // Only for those who look at it.
    private ApiHost Two => _two ??= Host();

    private async Task<long> SumAsync(string column, string policy) =>
        await database.ScalarAsync<long>($"SELECT coalesce(sum({column}), 0)::bigint FROM rate_limit_logs WHERE policy = '{policy}'");

    private async Task SubjectAsync(string body, HttpClient? client = null)
    {
        using var response = await (client ?? _one.Client).PostAsync("/api/admin/limits/subjects", Json(body), Cancel);
        Assert.True(response.StatusCode == HttpStatusCode.OK, await response.Content.ReadAsStringAsync(Cancel));
    }

    private Task<HttpResponseMessage> PutAsync(string name, string body) =>
        _one.Client.PutAsync($"/api/admin/limits/{name}", Json(body), Cancel);

    private static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");

    private static async Task<JsonElement> DataAsync(HttpResponseMessage response) =>
        (await ApiHost.JsonAsync(response)).GetProperty("data");

    private static async Task<int> StatusAsync(ApiHost api)
    {
        using var response = await api.GetAsync("/v1/models");
        return (int)response.StatusCode;
    }

    private static async Task<TimeSpan> TakesAsync(Func<Task<bool>> condition)
    {
        var started = Stopwatch.GetTimestamp();
        await UntilAsync(condition);
        return Stopwatch.GetElapsedTime(started);
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        bound.CancelAfter(TimeSpan.FromSeconds(20));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await condition())
            await tick.WaitForNextTickAsync(bound.Token);
    }

    private ApiHost Host() => new(
        _inference.Address,
        database.App,
        database.Redis,
        ("RateLimiting:Prefix", _prefix),
        ("RateLimiting:RedisTimeout", "00:00:01"), // a loaded machine is not a Redis that is late
        ("RateLimiting:LogInterval", "00:00:00.2"));
}
