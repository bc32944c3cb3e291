using System.Net;
using ValueCanvas.Api.ApiKeys;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Api.Accounts;
using ValueCanvas.Tests.Api.ApiKeys;
using ValueCanvas.Tests.Core.Inference;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>Requests that nobody is known to have made count by their address, before anything is looked up for them.</summary>
public sealed class StrangerLimitTests(KeyDatabase database) : IClassFixture<KeyDatabase>, IAsyncLifetime
{
    private FakeInference _inference = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _inference = await FakeInference.StartAsync();

    public ValueTask DisposeAsync() => _inference.DisposeAsync();

    [Fact]
    public async Task Guessing_FromOneAddress_IsBoundedAndThenTellsNothing()
    {
        await using var api = Host(("RateLimiting:Policies:strangers:Limit", "4"));
        Assert.Equal(200, await StatusAsync(api.Client));
        var right = await KeyDatabase.AddKeyAsync(api, Tenants.Development, await OperatorAsync());

        foreach (var wrong in new[] { null, "", "nonsense", ApiKeyText.Create("live") })
            Assert.Equal(401, await StatusAsync(api.ClientWith(wrong)));

        // The right key is refused as a wrong one is: the guess was not looked at.
        foreach (var guess in new[] { null, ApiKeyText.Create("live"), right })
        {
            using var refused = await api.ClientWith(guess).GetAsync("/v1/models", Cancel);
            await ApiHost.OpenAiErrorAsync(refused, 429);
            Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 15);
            Assert.StartsWith("\"strangers\";r=0", LimitHttpTests.Header(refused, "RateLimit"), StringComparison.Ordinal);
        }

        // Whoever is known goes on, and elsewhere nothing happened.
        Assert.Equal(200, await StatusAsync(api.Client));
        using var elsewhere = AccountsApi.From("127.0.0.2");
        elsewhere.BaseAddress = api.Address;
        Assert.Equal(401, await StatusAsync(elsewhere));
        elsewhere.DefaultRequestHeaders.Authorization = new("Bearer", right);
        Assert.Equal(200, await StatusAsync(elsewhere));
    }

    [Theory]
    [InlineData("ip")]
    [InlineData("route")]
    [InlineData("global")]
    public async Task Policy_ThatNeedsNoCaller_CountsThoseWhoAreTurnedAway(string scope)
    {
        await using var api = Host(LimitHttpTests.Policy("p", ("Limit", "3"), ("Scope", scope), ("Routes:0", "GET /v1/models")));
        Assert.Equal(401, await StatusAsync(api.ClientWith(null)));
        Assert.Equal(401, await StatusAsync(api.ClientWith("nonsense")));

        // A key that had to be looked up first counts once.
        Assert.Equal((200, 429), (await StatusAsync(api.Client), await StatusAsync(api.Client)));
        Assert.Equal(429, await StatusAsync(api.ClientWith(null)));
    }

    [Fact]
    public async Task Policies_OfCallersTokensAndPlaces_CountNoStrangers()
    {
        await using var api = Host(
            [.. LimitHttpTests.Policy("tenants", ("Limit", "1"), ("Scope", "tenant")),
             .. LimitHttpTests.Policy("tokens", ("Limit", "1"), ("Unit", "tokens"), ("Scope", "ip")),
             .. LimitHttpTests.Policy("places", ("Limit", "1"), ("Algorithm", "concurrency"), ("Scope", "ip"))]);
        for (var i = 0; i < 4; i++)
            Assert.Equal(401, await StatusAsync(api.ClientWith(null)));
    }

    [Fact]
    public async Task Database_Away_KeysThatCannotBeCheckedAreNotCounted()
    {
        await using var api = new ApiHost(_inference.Address, settings: ("RateLimiting:Policies:strangers:Limit", "2"));
        var key = ApiKeyText.Create("live");
        for (var i = 0; i < 4; i++)
            Assert.Equal(503, await StatusAsync(api.ClientWith(key)));
    }

    [Fact]
    public async Task Address_ThatIsBanned_IsTurnedAwayBeforeItsKeyIsLookedAt()
    {
        await using var api = Host();
        using var banned = AccountsApi.From("127.0.0.3");
        banned.BaseAddress = api.Address;
        Assert.Equal(401, await StatusAsync(banned));

        using var ban = await api.PostAsync("/api/admin/limits/subjects", """{"subject":"ip:127.0.0.3","action":"ban"}""");

        Assert.Equal(HttpStatusCode.OK, ban.StatusCode);
        Assert.Equal(403, await StatusAsync(banned));
    }

    private ApiHost Host(params (string Key, string Value)[] settings) => new(
        // A loaded machine is not a Redis that is late.
        _inference.Address, database.App, database.Redis, [("RateLimiting:RedisTimeout", "00:00:01"), .. settings]);

    private Task<Guid> OperatorAsync() => database.ScalarAsync<Guid>("SELECT user_id FROM memberships LIMIT 1");

    private static async Task<int> StatusAsync(HttpClient client)
    {
        using var response = await client.GetAsync("/v1/models", Cancel);
        return (int)response.StatusCode;
    }
}
