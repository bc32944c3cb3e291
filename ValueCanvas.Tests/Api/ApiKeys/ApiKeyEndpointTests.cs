using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using ValueCanvas.Api.ApiKeys;

namespace ValueCanvas.Tests.Api.ApiKeys;

public sealed class ApiKeyEndpointTests(KeyApi fixture) : IClassFixture<KeyApi>
{
    private readonly KeyDatabase _database = fixture.Database;
    private readonly ApiHost _api = fixture.Host;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Create_IsShownOnce_Works_AndIsStoredAsAHashOnly()
    {
        var client = await OwnerAsync();
        using var response = await client.PostAsJsonAsync(
            "/api/keys",
            new { name = "CI", models = (string[])["default"], budget = new { amount = 12.5, period = "month" }, environment = "test" },
            Cancellation);
        var made = (await ApiHost.JsonAsync(response)).GetProperty("data");
        var key = made.GetProperty("key").GetString()!;

        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        Assert.True(response.Headers.CacheControl?.NoStore);
        Assert.True(ApiKeyText.IsWellFormed(key));
        Assert.Equal(["canvas", "llm", "queue"], made.GetProperty("scopes").EnumerateArray().Select(scope => scope.GetString()));
        Assert.Equal(12.5m, made.GetProperty("budget").GetProperty("amount").GetDecimal());

        using var used = await _api.ClientWith(key).GetAsync("/api/canvas", Cancellation);
        Assert.Equal(HttpStatusCode.OK, used.StatusCode);
        using var again = await client.GetAsync(response.Headers.Location, Cancellation);
        var shown = (await ApiHost.JsonAsync(again)).GetProperty("data");
        Assert.False(shown.TryGetProperty("key", out _));
        Assert.Equal(key[..21], shown.GetProperty("prefix").GetString());

        foreach (var table in (string[])["api_keys", "api_key_secrets"])
        {
            var everything = await _database.ScalarAsync<string>($"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
            Assert.DoesNotContain(key, everything, StringComparison.Ordinal);
            Assert.DoesNotContain(key[22..], everything, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("{}", "name")]
    [InlineData("""{"name":" "}""", "name")]
    [InlineData("""{"name":"a","scopes":[]}""", "scopes")]
    [InlineData("""{"name":"a","scopes":["root"]}""", "scopes[0]")]
    [InlineData("""{"name":"a","models":[]}""", "models")]
    [InlineData("""{"name":"a","models":[""]}""", "models[0]")]
    [InlineData("""{"name":"a","budget":{"amount":-1,"period":"day"}}""", "budget.amount")]
    [InlineData("""{"name":"a","budget":{"amount":1.00001,"period":"day"}}""", "budget.amount")]
    [InlineData("""{"name":"a","budget":{"amount":1}}""", "budget.period")]
    [InlineData("""{"name":"a","expiresAt":"2020-01-01T00:00:00Z"}""", "expiresAt")]
    [InlineData("""{"name":"a","environment":"prod"}""", "environment")]
    public async Task Create_Invalid_Is400WithTheField(string body, string field)
    {
        using var response = await (await OwnerAsync()).PostAsync("/api/keys", KeyDatabase.Json(body), Cancellation);
        var problem = await ApiHost.ProblemAsync(response, 400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _), problem.GetRawText());
    }

    [Theory]
    [InlineData("tenantId", "\"00000000-0000-0000-0000-000000000001\"")]
    [InlineData("createdBy", "\"00000000-0000-0000-0000-000000000001\"")]
    [InlineData("isOperator", "true")]
    [InlineData("bootstrap", "true")]
    [InlineData("role", "\"owner\"")]
    [InlineData("key", "\"vck_live_mine\"")]
    public async Task Create_FieldThatNobodyMaySet_Is400AndAudited(string field, string value)
    {
        var (tenant, user) = await _database.AddMemberAsync();
        var client = _api.ClientWith(await KeyDatabase.AddKeyAsync(_api, tenant, user));

        using var refused = await client.PostAsync("/api/keys", KeyDatabase.Json($$"""{"name":"a","{{field}}":{{value}}}"""), Cancellation);

        var problem = await ApiHost.ProblemAsync(refused, 400);
        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _), problem.GetRawText());
        await InferenceProxy.ProxyHost.UntilAsync(async () => await _database.ScalarAsync<long>(
            $"""
             SELECT count(*) FROM audit_log
             WHERE tenant_id = '{tenant}' AND event = 'request.refused' AND details ->> 'reason' = 'body'
             """) == 1);
    }

    [Fact]
    public async Task Key_WithABudget_MakesAndRotatesNoOther()
    {
        var owner = await OwnerAsync();
        var made = await KeyDatabase.MakeAsync(
            owner, new { name = "a", scopes = (string[])["keys", "llm"], budget = new { amount = 1, period = "day" } });
        var free = await KeyDatabase.MakeAsync(owner, new { name = "b", scopes = (string[])["llm"] });
        var client = _api.ClientWith(made.GetProperty("key").GetString());

        foreach (var body in (string[])
        [
            """{"name":"c","scopes":["llm"]}""", """{"name":"c","scopes":["llm"],"budget":{"amount":1,"period":"day"}}""",
        ])
        {
            using var refused = await client.PostAsync("/api/keys", KeyDatabase.Json(body), Cancellation);
            await ApiHost.ProblemAsync(refused, 403);
        }

        using var rotated = await client.PostAsync(
            $"/api/keys/{free.GetProperty("id").GetGuid()}/rotate", KeyDatabase.Json("{}"), Cancellation);
        await ApiHost.ProblemAsync(rotated, 403);
        await RotateAsync(client, made.GetProperty("id").GetGuid(), "{}");
    }

    [Fact]
    public async Task Rotate_ByAKeyThatEndsSooner_OrByTheSecretOfBefore_Is403()
    {
        var owner = await OwnerAsync();
        var lasting = await KeyDatabase.MakeAsync(owner, new { name = "a", scopes = (string[])["keys"] });
        var id = lasting.GetProperty("id").GetGuid();
        var ending = await KeyDatabase.MakeAsync(
            owner, new { name = "b", scopes = (string[])["keys"], expiresAt = TimeProvider.System.GetUtcNow().AddHours(1) });
        var endingClient = _api.ClientWith(ending.GetProperty("key").GetString());

        using var sooner = await endingClient.PostAsync($"/api/keys/{id}/rotate", KeyDatabase.Json("{}"), Cancellation);
        await ApiHost.ProblemAsync(sooner, 403);
        await RotateAsync(endingClient, ending.GetProperty("id").GetGuid(), "{}");

        // Whoever has stolen a secret that was rotated away does not get the next one by it.
        await RotateAsync(owner, id, "{}");
        using var back = await _api.ClientWith(lasting.GetProperty("key").GetString())
            .PostAsync($"/api/keys/{id}/rotate", KeyDatabase.Json("{}"), Cancellation);
        await ApiHost.ProblemAsync(back, 403);
    }

    [Fact]
    public async Task Create_MoreThanTheMakingKeyHas_Is403()
    {
        var owner = await OwnerAsync();
        var limited = (await KeyDatabase.MakeAsync(
            owner, new { name = "a", scopes = (string[])["keys", "llm"], models = (string[])["small", "tiny-*"] }))
                .GetProperty("key").GetString();
        var client = _api.ClientWith(limited);

        foreach (var body in (string[])
        [
            """{"name":"b","scopes":["canvas"]}""", """{"name":"b","scopes":["admin"]}""",
            """{"name":"b","scopes":["llm"],"models":["large"]}""",
            """{"name":"b","scopes":["llm"],"models":["*"]}""",
        ])
        {
            using var refused = await client.PostAsync("/api/keys", KeyDatabase.Json(body), Cancellation);
            await ApiHost.ProblemAsync(refused, 403);
        }

        var inherited = await KeyDatabase.MakeAsync(client, new { name = "b", scopes = (string[])["llm"] });
        Assert.Equal(["small", "tiny-*"], inherited.GetProperty("models").EnumerateArray().Select(model => model.GetString()));
        await KeyDatabase.MakeAsync(client, new { name = "b", scopes = (string[])["llm"], models = (string[])["tiny-1", "tiny-*"] });
    }

    [Fact]
    public async Task Create_ByAKeyThatExpires_ExpiresNoLater()
    {
        var owner = await OwnerAsync();
        var end = TimeProvider.System.GetUtcNow().AddHours(1);
        var expiring = (await KeyDatabase.MakeAsync(
            owner, new { name = "a", scopes = (string[])["keys", "llm"], expiresAt = end })).GetProperty("key").GetString();
        var client = _api.ClientWith(expiring);

        using var later = await client.PostAsJsonAsync(
            "/api/keys", new { name = "b", scopes = (string[])["llm"], expiresAt = end.AddHours(1) }, Cancellation);
        await ApiHost.ProblemAsync(later, 400);
        var made = await KeyDatabase.MakeAsync(client, new { name = "b", scopes = (string[])["llm"] });
        Assert.InRange(made.GetProperty("expiresAt").GetDateTimeOffset(), end.AddMilliseconds(-1), end.AddMilliseconds(1));
    }

    [Fact]
    public async Task Create_ScopeAdmin_IsForOperatorsOnly()
    {
        using var refused = await (await OwnerAsync())
            .PostAsync("/api/keys", KeyDatabase.Json("""{"name":"a","scopes":["admin"]}"""), Cancellation);
        await ApiHost.ProblemAsync(refused, 403);

        await KeyDatabase.MakeAsync(_api.Client, new { name = "a", scopes = (string[])["admin"] });
    }

    [Fact]
    public async Task List_OfAMember_IsTheirOwn_OfAnAdmin_TheTenants()
    {
        var (tenant, admin) = await _database.AddMemberAsync("admin");
        var (_, member) = await _database.AddMemberAsync("member", tenant);
        var (_, viewer) = await _database.AddMemberAsync("viewer", tenant);
        var adminKey = await KeyDatabase.AddKeyAsync(_api, tenant, admin);
        var memberKey = await KeyDatabase.AddKeyAsync(_api, tenant, member);
        var viewerKey = await KeyDatabase.AddKeyAsync(_api, tenant, viewer);

        Assert.Equal(3, (await ListAsync(_api.ClientWith(adminKey))).Length);
        var own = Assert.Single(await ListAsync(_api.ClientWith(memberKey)));
        Assert.Equal(member, own.GetProperty("createdBy").GetGuid());
        using var refused = await _api.ClientWith(viewerKey).GetAsync("/api/keys", Cancellation);
        await ApiHost.ProblemAsync(refused, 403);

        var foreign = (await ListAsync(_api.ClientWith(adminKey))).First(key => key.GetProperty("createdBy").GetGuid() == admin);
        using var hidden = await _api.ClientWith(memberKey).DeleteAsync($"/api/keys/{foreign.GetProperty("id").GetGuid()}", Cancellation);
        await ApiHost.ProblemAsync(hidden, 404);
    }

    [Fact]
    public async Task List_PagesToTheEnd()
    {
        var client = await OwnerAsync();
        for (var i = 0; i < 4; i++)
            await KeyDatabase.MakeAsync(client, new { name = $"key {i}" });

        var seen = new List<string>();
        string? cursor = "";
        while (cursor is not null)
        {
            using var response = await client.GetAsync($"/api/keys?limit=2&cursor={cursor}", Cancellation);
            var page = (await ApiHost.JsonAsync(response)).GetProperty("data");
            seen.AddRange(page.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("name").GetString()!));
            cursor = page.GetProperty("nextCursor").GetString();
        }

        Assert.Equal(["key 3", "key 2", "key 1", "key 0", "A key"], seen);
        using var unknown = await client.GetAsync($"/api/keys?cursor={Guid.NewGuid()}", Cancellation);
        await ApiHost.ProblemAsync(unknown, 400);
    }

    [Fact]
    public async Task Rotate_BothSecretsHold_ThenNeverMoreThanTwo()
    {
        var client = await OwnerAsync();
        var made = await KeyDatabase.MakeAsync(client, new { name = "a" });
        var id = made.GetProperty("id").GetGuid();
        var first = made.GetProperty("key").GetString()!;

        var second = await RotateAsync(client, id, "{}");
        Assert.True(second.TryGetProperty("previousValidUntil", out _));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(first));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(second.GetProperty("key").GetString()!));

        var third = await RotateAsync(client, id, """{"overlapSeconds":3600}""");
        await UntilRefusedAsync(first);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(second.GetProperty("key").GetString()!));

        var last = await RotateAsync(client, id, """{"overlapSeconds":0}""");
        Assert.False(last.TryGetProperty("previousValidUntil", out _));
        await UntilRefusedAsync(second.GetProperty("key").GetString()!);
        await UntilRefusedAsync(third.GetProperty("key").GetString()!);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(last.GetProperty("key").GetString()!));
        Assert.Equal(1, await _database.ScalarAsync<long>($"SELECT count(*) FROM api_key_secrets WHERE key_id = '{id}'"));
    }

    [Fact]
    public async Task Rotate_AnotherUsersOrAStrongerKey_Is403()
    {
        var (tenant, owner) = await _database.AddMemberAsync();
        var (_, admin) = await _database.AddMemberAsync("admin", tenant);
        var ownerClient = _api.ClientWith(await KeyDatabase.AddKeyAsync(_api, tenant, owner));
        var adminClient = _api.ClientWith(await KeyDatabase.AddKeyAsync(_api, tenant, admin));
        var owners = (await KeyDatabase.MakeAsync(ownerClient, new { name = "a" })).GetProperty("id").GetGuid();
        using var foreign = await adminClient.PostAsync($"/api/keys/{owners}/rotate", KeyDatabase.Json("{}"), Cancellation);
        await ApiHost.ProblemAsync(foreign, 403);

        var weak = (await KeyDatabase.MakeAsync(ownerClient, new { name = "w", scopes = (string[])["keys"] }))
            .GetProperty("key").GetString();
        using var stronger = await _api.ClientWith(weak).PostAsync($"/api/keys/{owners}/rotate", KeyDatabase.Json("{}"), Cancellation);
        await ApiHost.ProblemAsync(stronger, 403);
    }

    [Fact]
    public async Task Delete_OfAKey_HidesItAndKeepsItsRow()
    {
        var client = await OwnerAsync();
        var made = await KeyDatabase.MakeAsync(client, new { name = "a" });
        var (id, key) = (made.GetProperty("id").GetGuid(), made.GetProperty("key").GetString()!);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(key));

        using var deleted = await client.DeleteAsync($"/api/keys/{id}", Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        // At the instance that was asked, at once.
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(key));
        using var again = await client.DeleteAsync($"/api/keys/{id}", Cancellation);
        await ApiHost.ProblemAsync(again, 404);
        using var rotated = await client.PostAsync($"/api/keys/{id}/rotate", KeyDatabase.Json("{}"), Cancellation);
        await ApiHost.ProblemAsync(rotated, 404);
        Assert.DoesNotContain(await ListAsync(client), key => key.GetProperty("id").GetGuid() == id);
        Assert.True(await _database.ScalarAsync<bool>($"SELECT revoked_at IS NOT NULL FROM api_keys WHERE id = '{id}'"));
    }

    private async Task<HttpClient> OwnerAsync()
    {
        var (tenant, user) = await _database.AddMemberAsync();
        return _api.ClientWith(await KeyDatabase.AddKeyAsync(_api, tenant, user));
    }

    private static async Task<JsonElement[]> ListAsync(HttpClient client)
    {
        using var response = await client.GetAsync("/api/keys", Cancellation);
        return [.. (await ApiHost.JsonAsync(response)).GetProperty("data").GetProperty("items").EnumerateArray()];
    }

    private static async Task<JsonElement> RotateAsync(HttpClient client, Guid id, string body)
    {
        using var response = await client.PostAsync($"/api/keys/{id}/rotate", KeyDatabase.Json(body), Cancellation);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (await ApiHost.JsonAsync(response)).GetProperty("data");
    }

    private async Task<HttpStatusCode> StatusAsync(string key)
    {
        using var response = await _api.ClientWith(key).GetAsync("/api/canvas", Cancellation);
        return response.StatusCode;
    }

    private Task UntilRefusedAsync(string key) =>
        InferenceProxy.ProxyHost.UntilAsync(async () => await StatusAsync(key) == HttpStatusCode.Unauthorized);
}
