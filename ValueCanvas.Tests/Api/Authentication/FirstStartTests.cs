using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;
using Npgsql;
using ValueCanvas.Api.ApiKeys;
using ValueCanvas.Core.Database;
using ValueCanvas.Tests.Api.Accounts;
using ValueCanvas.Tests.Api.ApiKeys;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Usage;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Authentication;

/// <summary>Each test has a database of its own: nobody is in it yet.</summary>
public sealed class FirstStartTests(ServersFixture servers) : IAsyncLifetime
{
    private readonly KeyDatabase _database = new(servers);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _database.InitializeAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Fact]
    public async Task Configured_MakesTheOperatorOfTheFirstTenant_AndTheKeyWorks()
    {
        await using var api = Start();
        await IsAsync(api, ApiHost.Key, HttpStatusCode.OK);

        Assert.Equal(
            ApiHost.OperatorEmail,
            await _database.ScalarAsync<string>(
                $"""
                 SELECT u.email FROM users u JOIN memberships m ON m.user_id = u.id
                 WHERE u.is_operator AND m.role = 'owner' AND m.tenant_id = '{Tenants.Development}' AND NOT u.password_change_required
                 """));
        var hash = await _database.ScalarAsync<string>("SELECT password_hash FROM users");
        Assert.Equal(
            PasswordVerificationResult.Success,
            new PasswordHasher<object>(Options.Create(new PasswordHasherOptions()))
                .VerifyHashedPassword(this, hash, ApiHost.OperatorPassword));
    }

    [Fact]
    public async Task StartedAgain_AndByManyAtOnce_MakesNothingTwice()
    {
        var hosts = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Start(), Cancellation)));
        try
        {
            foreach (var host in hosts)
                await IsAsync(host, ApiHost.Key, HttpStatusCode.OK);
        }
        finally
        {
            foreach (var host in hosts)
                await host.DisposeAsync();
        }

        await using var again = Start();
        await IsAsync(again, ApiHost.Key, HttpStatusCode.OK);
        Assert.Equal(1, await _database.ScalarAsync<long>("SELECT count(*) FROM users"));
        Assert.Equal(1, await _database.ScalarAsync<long>("SELECT count(*) FROM api_keys"));
    }

    [Fact]
    public async Task AnotherKey_TakesThePlaceOfTheOneBefore_AndADeletedOneStaysDeleted()
    {
        await using (var first = Start())
            await IsAsync(first, ApiHost.Key, HttpStatusCode.OK);

        var other = ApiKeyText.Create("live");
        await using (var second = Start(("VALUECANVAS_BOOTSTRAP_API_KEY", other), ("VALUECANVAS_BOOTSTRAP_EMAIL", "someone@else.example")))
        {
            await IsAsync(second, other, HttpStatusCode.OK);
            await IsAsync(second, ApiHost.Key, HttpStatusCode.Unauthorized);
        }

        await using var third = Start();
        await IsAsync(third, ApiHost.Key, HttpStatusCode.Unauthorized);
        await IsAsync(third, other, HttpStatusCode.OK);
        Assert.Equal(1, await _database.ScalarAsync<long>("SELECT count(*) FROM users"));
    }

    [Fact]
    public async Task NoPassword_PrintsOneOnce_ThatOpensNothingUntilItIsChanged()
    {
        var email = $"o{Guid.NewGuid():N}@tests.example";
        (string, string)[] settings =
            [("VALUECANVAS_BOOTSTRAP_EMAIL", email), ("VALUECANVAS_BOOTSTRAP_PASSWORD", ""), ("VALUECANVAS_BOOTSTRAP_API_KEY", "")];
        var printed = await PrintedAsync(async () =>
        {
            await using var first = Start(settings);
            await IsAsync(first, ApiHost.Key, HttpStatusCode.Unauthorized);
        });
        var password = Regex.Match(printed, $@"{email}\s+one-time password\s+(\S+)").Groups[1].Value;
        Assert.Equal(20, password.Length);
        Assert.Equal(0, await _database.ScalarAsync<long>("SELECT count(*) FROM api_keys"));

        // Another start prints nothing, and changes nothing.
        await using var api = new AccountsApi(_database.App, _database.Redis, settings);
        var operators = await api.SignInAsync(email, password);
        foreach (var path in (string[])["/api/canvas", "/api/keys", "/v1/models", "/api/tenants", "/api/admin/limits", "/api/audit"])
        {
            using var refused = await api.GetAsync(path, operators.Access);
            Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        }

        using (var me = await api.GetAsync("/api/auth/me", operators.Access))
            Assert.Equal(HttpStatusCode.OK, me.StatusCode);
        // A browser does it by its cookies.
        using var browser = await api.PostAsync("/api/auth/login", new { email, password, cookies = true });
        var cookies = string.Join("; ", browser.Headers.GetValues("Set-Cookie").Select(cookie => cookie.Split(';')[0]));
        var csrf = (await AccountsApi.DataAsync(await api.SendAsync(HttpMethod.Get, "/api/auth/csrf", cookie: cookies)))
            .GetProperty("token").GetString();
        var change = new { currentPassword = password, newPassword = AccountsApi.Password };
        await ApiHost.ProblemAsync(await api.SendAsync(HttpMethod.Post, "/api/auth/password", change, cookie: cookies), 403);
        await AccountsApi.DataAsync(await api.SendAsync(HttpMethod.Post, "/api/auth/password", change, cookie: cookies, csrf: csrf));

        using (var opened = await api.SendAsync(HttpMethod.Get, "/api/audit", cookie: cookies))
            Assert.Equal(HttpStatusCode.OK, opened.StatusCode);
        using (var ended = await api.GetAsync("/api/auth/me", operators.Access))
            Assert.Equal(HttpStatusCode.Unauthorized, ended.StatusCode);
        await ApiHost.ProblemAsync(await api.PostAsync("/api/auth/login", new { email, password }), 401);
        await api.SignInAsync(email);
    }

    [Fact]
    public async Task Password_WhoseLettersHaveSeveralForms_SignsIn()
    {
        const string password = "\uFB01ne \uFB02at caf\u00E9 harbour";
        await using var api = new AccountsApi(
            _database.App, _database.Redis,
            ("VALUECANVAS_BOOTSTRAP_EMAIL", "Operator@Tests.Example"), ("VALUECANVAS_BOOTSTRAP_PASSWORD", password));

        await api.SignInAsync("operator@tests.example", password);
        await api.SignInAsync("operator@tests.example", "fine flat cafe\u0301 harbour");
    }

    [Fact]
    public async Task AddressTakenBefore_BelongsToTheOperatorFromNowOn()
    {
        var squatter = Guid.NewGuid();
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $"""
             INSERT INTO users (id, user_name, normalized_user_name, email, normalized_email, password_hash)
             VALUES ('{squatter}', 's', 'S', '{ApiHost.OperatorEmail}', '{ApiHost.OperatorEmail.ToUpperInvariant()}', 'theirs');
             INSERT INTO sessions (id, user_id, tenant_id, expires_at)
             VALUES ('{Guid.NewGuid()}', '{squatter}', '{Tenants.Development}', now() + interval '1 day');
             INSERT INTO user_logins (login_provider, provider_key, user_id) VALUES ('corp', 'theirs', '{squatter}');
             """);

        await using var api = Start();

        await IsAsync(api, ApiHost.Key, HttpStatusCode.OK);
        Assert.NotEqual("theirs", await _database.ScalarAsync<string>("SELECT password_hash FROM users"));
        Assert.Equal(0, await _database.ScalarAsync<long>("SELECT count(*) FROM sessions WHERE ended_at IS NULL"));
        Assert.Equal(0, await _database.ScalarAsync<long>("SELECT count(*) FROM user_logins"));
    }

    [Fact]
    public async Task DatabaseAway_ServiceLives_AndCatchesUpWhenItIsThere()
    {
        await using var proxy = new SeveredProxy(_database.App);
        proxy.Cut();
        await using var api = new ApiHost(database: proxy.ConnectionString + ";Timeout=1");
        using (var live = await api.ClientWith(null).GetAsync("/health/live", Cancellation))
            Assert.Equal(HttpStatusCode.OK, live.StatusCode);
        await IsAsync(api, ApiHost.Key, HttpStatusCode.ServiceUnavailable);

        proxy.Mend();

        await UntilOpenAsync(api);
    }

    [Fact]
    public async Task NotDoneYet_KeyIsNotWrong_AndNobodyElseIsFirst()
    {
        // The database is away at the start, and then there, but another instance is in the middle of its own first start.
        await using var proxy = new SeveredProxy(_database.App);
        proxy.Cut();
        await using var api = new ApiHost(database: proxy.ConnectionString + ";Timeout=1");
        await using var other = new NpgsqlConnection(_database.Admin);
        await other.OpenAsync(Cancellation);
        await using var takeLock = new NpgsqlCommand($"SELECT pg_advisory_lock({0x5643464952535431})", other);
        await takeLock.ExecuteNonQueryAsync(Cancellation);
        proxy.Mend();
        var unknown = ApiKeyText.Create("live");
        await InferenceProxy.ProxyHost.UntilAsync(async () => await StatusAsync(api, unknown) == HttpStatusCode.Unauthorized);

        using (var notYet = await api.GetAsync("/api/canvas"))
        {
            await ApiHost.ProblemAsync(notYet, 503);
            Assert.NotNull(notYet.Headers.RetryAfter);
        }

        using (var first = await api.ClientWith(null).PostAsync(
            "/api/auth/register",
            KeyDatabase.Json($$"""{"email":"{{ApiHost.OperatorEmail}}","password":"{{AccountsApi.Password}}"}"""),
            Cancellation))
        {
            await ApiHost.ProblemAsync(first, 503);
        }

        await other.CloseAsync();
        await UntilOpenAsync(api);
        Assert.Equal(1, await _database.ScalarAsync<long>("SELECT count(*) FROM users"));
    }

    [Theory]
    [InlineData("VALUECANVAS_BOOTSTRAP_API_KEY", "short")]
    [InlineData("VALUECANVAS_BOOTSTRAP_API_KEY", "with spaces in the middle of it")]
    [InlineData("VALUECANVAS_BOOTSTRAP_PASSWORD", "1234567")]
    [InlineData("VALUECANVAS_BOOTSTRAP_PASSWORD", "Password123!")]
    [InlineData("VALUECANVAS_BOOTSTRAP_EMAIL", "nobody")]
    [InlineData("VALUECANVAS_BOOTSTRAP_EMAIL", "Ann <ann@tests.example>")]
    public void Value_ThatMakesNoSense_StopsTheStartAndIsNamed(string variable, string value)
    {
        var refused = Assert.Throws<OptionsValidationException>(() => Start((variable, value)));
        Assert.Contains(variable, refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(value, refused.Message, StringComparison.Ordinal);
    }

    private ApiHost Start(params (string Key, string Value)[] settings) => new(database: _database.App, settings: settings);

    private static async Task IsAsync(ApiHost api, string key, HttpStatusCode status) => Assert.Equal(status, await StatusAsync(api, key));

    private static async Task<HttpStatusCode> StatusAsync(ApiHost api, string key)
    {
        using var response = await api.ClientWith(key).GetAsync("/api/canvas", Cancellation);
        return response.StatusCode;
    }

    private static Task UntilOpenAsync(ApiHost api) =>
        InferenceProxy.ProxyHost.UntilAsync(async () => await StatusAsync(api, ApiHost.Key) == HttpStatusCode.OK);

    /// <summary>What is written to the console meanwhile, by whomever; it still is written.</summary>
    private static async Task<string> PrintedAsync(Func<Task> work)
    {
        var console = Console.Out;
        var kept = new StringWriter();
        Console.SetOut(new Tee(console, kept));
        try
        {
            await work();
        }
        finally
        {
            Console.SetOut(console);
        }

        return kept.ToString();
    }

    // Console.SetOut puts a lock around it.
    private sealed class Tee(TextWriter one, TextWriter other) : TextWriter
    {
        public override Encoding Encoding => one.Encoding;

        public override void Write(char value)
        {
            one.Write(value);
            other.Write(value);
        }

        public override void Write(string? value)
        {
            one.Write(value);
            other.Write(value);
        }

        public override void WriteLine(string? value)
        {
            one.WriteLine(value);
            other.WriteLine(value);
        }
    }
}
