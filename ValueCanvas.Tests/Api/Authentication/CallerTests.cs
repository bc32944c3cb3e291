using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.ApiKeys;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Api.ApiKeys;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Authentication;

/// <summary>Who is recognised by what, and how strangers are turned away.</summary>
public sealed class CallerTests(KeyApi fixture, ServersFixture servers) : IClassFixture<KeyApi>
{
    private readonly KeyDatabase _database = fixture.Database;
    private readonly ApiHost _api = fixture.Host;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/api/canvas")]
    [InlineData("/api/keys")]
    [InlineData("/api/nothing")]
    [InlineData("/nothing")]
    [InlineData("/openapi/v1.json")]
    public async Task Stranger_UnderApi_Is401ThatSaysHowToGetAKey(string path)
    {
        using var response = await _api.ClientWith(null).GetAsync(path, Cancellation);

        var problem = await ApiHost.ProblemAsync(response, 401);
        Assert.Contains("/api/keys", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Contains(response.Headers.WwwAuthenticate, challenge => challenge.Scheme == "Bearer");
    }

    [Theory]
    [InlineData("/v1/models")]
    [InlineData("/v1/nothing")]
    public async Task Stranger_UnderV1_IsOpenAisError(string path)
    {
        using var none = await _api.ClientWith(null).GetAsync(path, Cancellation);
        await ApiHost.OpenAiErrorAsync(none, 401);
        using var wrong = await _api.ClientWith("sk-0123456789abcdef").GetAsync(path, Cancellation);
        var error = await ApiHost.OpenAiErrorAsync(wrong, 401);
        Assert.Equal("invalid_api_key", error.GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("Authorization", "Basic dXNlcjpwYXNz")]
    [InlineData("Authorization", "Bearer")]
    [InlineData("Authorization", "Bearer ")]
    [InlineData("Authorization", "vck_live_x")]
    [InlineData("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30.")]
    [InlineData("x-api-key", "")]
    [InlineData("x-api-key", "nothing")]
    public async Task Credential_ThatIsNone_Is401(string header, string value)
    {
        var client = _api.ClientWith(null);
        client.DefaultRequestHeaders.TryAddWithoutValidation(header, value);
        using var response = await client.GetAsync("/api/canvas", Cancellation);
        await ApiHost.ProblemAsync(response, 401);
    }

    [Fact]
    public async Task Key_InXApiKey_IsTaken_AndAuthorizationGoesFirst()
    {
        var client = _api.ClientWith(null);
        client.DefaultRequestHeaders.Add("x-api-key", ApiHost.Key);
        using (var alone = await client.GetAsync("/api/canvas", Cancellation))
            Assert.Equal(HttpStatusCode.OK, alone.StatusCode);

        client.DefaultRequestHeaders.Authorization = new("Bearer", "wrong");
        using var both = await client.GetAsync("/api/canvas", Cancellation);
        Assert.Equal(HttpStatusCode.Unauthorized, both.StatusCode);
    }

    [Fact]
    public async Task Key_InTheAddress_IsNot()
    {
        using var response = await _api.ClientWith(null).GetAsync($"/api/canvas?api_key={ApiHost.Key}&key={ApiHost.Key}", Cancellation);
        await ApiHost.ProblemAsync(response, 401);
    }

    [Theory]
    [InlineData("/health")]
    [InlineData("/health/live")]
    [InlineData("/health/ready")]
    [InlineData("/ready")]
    [InlineData("/api/health")]
    [InlineData("/.well-known/jwks.json")]
    public async Task Open_Paths_AnswerStrangers(string path)
    {
        using var response = await _api.ClientWith(null).GetAsync(path, Cancellation);
        Assert.NotEqual(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Theory]
    [InlineData("llm", "/api/canvas", "/v1/models")]
    [InlineData("canvas", "/api/queue/jobs", "/api/canvas")]
    [InlineData("queue", "/v1/models", "/api/queue/jobs")]
    [InlineData("canvas", "/api/keys", "/api/canvas")]
    public async Task Key_WithoutTheScope_Is403_WithIt_GoesOn(string scope, string refused, string taken)
    {
        var (tenant, user) = await _database.AddMemberAsync();
        var client = _api.ClientWith(await KeyDatabase.AddKeyAsync(_api, tenant, user, scope));
        using var no = await client.GetAsync(refused, Cancellation);
        Assert.Equal(HttpStatusCode.Forbidden, no.StatusCode);
        using var yes = await client.GetAsync(taken, Cancellation);
        Assert.NotEqual(HttpStatusCode.Forbidden, yes.StatusCode);
    }

    [Fact]
    public async Task Viewer_Reads_AndChangesNothing()
    {
        var (tenant, user) = await _database.AddMemberAsync("viewer");
        var client = _api.ClientWith(await KeyDatabase.AddKeyAsync(_api, tenant, user));
        using var read = await client.GetAsync("/api/canvas", Cancellation);
        Assert.Equal(HttpStatusCode.OK, read.StatusCode);
        foreach (var path in (string[])["/api/canvas/generate", "/api/queue/llm", "/api/llm/chat", "/generate", "/api/keys"])
        {
            using var refused = await client.PostAsync(path, KeyDatabase.Json("{}"), Cancellation);
            await ApiHost.ProblemAsync(refused, 403);
        }
    }

    [Fact]
    public Task AccessToken_OfASession_IsTaken_AndEndsWithItWithinASecond() => Effect.WithinASecondAsync(async () =>
    {
        var (tenant, user) = await _database.AddMemberAsync();
        var session = Guid.NewGuid();
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $"INSERT INTO sessions (id, user_id, tenant_id, expires_at) "
            + $"VALUES ('{session}', '{user}', '{tenant}', now() + interval '1 day')");
        var token = await _api.Services.GetRequiredService<AccessTokens>().IssueAsync(user, tenant, session, Cancellation);
        var client = _api.ClientWith(token.Text);
        using (var taken = await client.GetAsync("/api/keys", Cancellation))
            Assert.Equal(HttpStatusCode.OK, taken.StatusCode);

        await MigratedDatabase.ExecuteAsync(_database.Admin, $"UPDATE users SET password_change_required = true WHERE id = '{user}'");
        await MigratedDatabase.ExecuteAsync(
            _database.Admin, $"UPDATE users SET password_hash = 'x', is_operator = false WHERE id = '{user}'");
        Assert.False(await _database.ScalarAsync<bool>($"SELECT password_change_required FROM users WHERE id = '{user}'"));

        var since = TimeProvider.System.GetTimestamp();
        await MigratedDatabase.ExecuteAsync(
            _database.Admin, $"UPDATE sessions SET ended_at = now(), end_reason = 'logout' WHERE id = '{session}'");
        await InferenceProxy.ProxyHost.UntilAsync(async () =>
        {
            using var response = await client.GetAsync("/api/keys", Cancellation);
            return response.StatusCode == HttpStatusCode.Unauthorized;
        });
        return TimeProvider.System.GetElapsedTime(since);
    });

    [Theory]
    [InlineData("nothing", 200)]
    [InlineData("expired", 401)]
    [InlineData("audience", 401)]
    [InlineData("issuer", 401)]
    [InlineData("kid", 401)]
    [InlineData("none", 401)]
    [InlineData("hmac", 401)]
    [InlineData("tenant", 401)]
    public async Task AccessToken_WithSomethingWrong_Is401(string wrong, int status)
    {
        var (tenant, user) = await _database.AddMemberAsync();
        var session = Guid.NewGuid();
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $"INSERT INTO sessions (id, user_id, tenant_id, expires_at) "
            + $"VALUES ('{session}', '{user}', '{tenant}', now() + interval '1 day')");
        var key = await _api.Services.GetRequiredService<SigningKeys>().CurrentAsync(Cancellation);
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var header = JsonSerializer.Serialize(new
        {
            alg = wrong switch { "none" => "none", "hmac" => "HS256", _ => "ES256" },
            typ = "at+jwt",
            kid = wrong == "kid" ? "unknown" : key.Id,
        });
        var payload = JsonSerializer.Serialize(new
        {
            iss = wrong == "issuer" ? "another" : "valuecanvas",
            aud = wrong == "audience" ? "another" : "valuecanvas-api",
            sub = user,
            tid = wrong == "tenant" ? Tenants.Development : tenant,
            sid = session,
            iat = now - 700,
            nbf = now - 700,
            exp = wrong == "expired" ? now - 60 : now + 60,
        });
        var input = $"{Base64Url.Encode(header)}.{Base64Url.Encode(payload)}";
        var seal = wrong == "hmac"
            ? HMACSHA256.HashData(Encoding.ASCII.GetBytes(key.Jwk.X), Encoding.ASCII.GetBytes(input))
            : key.Sign(Encoding.ASCII.GetBytes(input));

        using var response = await _api.ClientWith($"{input}.{Base64Url.Encode(seal)}").GetAsync("/api/canvas", Cancellation);

        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task AccessToken_OfAOneTimePassword_OpensNothingElse()
    {
        var (tenant, user) = await _database.AddMemberAsync();
        var session = Guid.NewGuid();
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $"""
             INSERT INTO sessions (id, user_id, tenant_id, expires_at) VALUES ('{session}', '{user}', '{tenant}', now() + interval '1 day');
             UPDATE users SET password_change_required = true WHERE id = '{user}';
             """);
        var token = await _api.Services.GetRequiredService<AccessTokens>().IssueAsync(user, tenant, session, Cancellation);

        using var refused = await _api.ClientWith(token.Text).GetAsync("/api/canvas", Cancellation);

        var problem = await ApiHost.ProblemAsync(refused, 403);
        Assert.EndsWith("password-change-required", problem.GetProperty("type").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_MadeUp_CostNoQuestionWhereTheSumIsWrong_AndFewWhereItIsRight()
    {
        // A connection that ends tells what it did; one that is kept in a pool, as by the class's service, only after a while.
        var database = new KeyDatabase(servers);
        await database.InitializeAsync();
        await using var api = new ApiHost(
            database: database.App, cache: database.Redis,
            settings: [("ConnectionStrings:valuecanvas", database.App), ("RateLimiting:Policies:strangers:Enabled", "false")]);
        using (await api.GetAsync("/api/canvas"))
        {
        }

        var before = await LookUpsAsync(database);
        var client = api.ClientWith(null);
        for (var i = 0; i < 200; i++)
            await RefusedAsync(client, ApiKeyText.Create("live")[..^1] + "!");
        for (var i = 0; i < 200; i++)
            await RefusedAsync(client, $"sk-{Guid.NewGuid():N}");
        Assert.Equal(before, await LookUpsAsync(database));

        var wellFormed = ApiKeyText.Create("live");
        for (var i = 0; i < 50; i++)
            await RefusedAsync(client, wellFormed);
        Assert.InRange(await LookUpsAsync(database) - before, 1, 3);
    }

    private static async Task RefusedAsync(HttpClient client, string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/canvas");
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {key}");
        using var response = await client.SendAsync(request, Cancellation);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    /// <summary>
    /// How often the database was asked for a key; its statistics come when a connection ends, so they are asked for until they rest and no
    /// connection is left but the one that listens for changes.
    /// </summary>
    private static async Task<long> LookUpsAsync(KeyDatabase database)
    {
        var (last, same) = (-1L, 0);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (same < 6)
        {
            await tick.WaitForNextTickAsync(Cancellation);
            var left = await database.ScalarAsync<long>(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'valuecanvas_app'");
            var now = await database.ScalarAsync<long>(
                "SELECT coalesce(sum(idx_scan + seq_scan), 0)::bigint FROM pg_stat_user_tables WHERE relname = 'api_key_secrets'");
            same = now == last && left <= 1 ? same + 1 : 0;
            last = now;
        }

        return last;
    }
}
