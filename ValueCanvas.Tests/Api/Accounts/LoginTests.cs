using System.Diagnostics;
using System.Net;
using System.Text.Json;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Api.Accounts;

public sealed class LoginTests(AccountsFixture fixture) : IClassFixture<AccountsFixture>
{
    private static readonly string[] Attributes = ["secure", "httponly", "samesite=strict"];

    private readonly AccountsApi _api = fixture.Api;

    [Fact]
    public async Task Login_NoSuchUserAndWrongPassword_AreTheSameAnswer()
    {
        var ann = await _api.SignUpAsync();
        using var disabled = await DisabledAsync();

        using var wrong = await TryAsync(_api, ann.Email);
        using var unknown = await TryAsync(_api, AccountsApi.NewEmail());
        using var malformed = await TryAsync(_api, "not an address");

        var expected = await PlainAsync(wrong);
        Assert.Equal(expected, await PlainAsync(unknown));
        Assert.Equal(expected, await PlainAsync(malformed));
        Assert.Equal(expected, await PlainAsync(disabled));
    }

    [Fact]
    public async Task Login_NoSuchUser_TakesAsLongAsAWrongPassword()
    {
        var ann = await _api.SignUpAsync();
        var (known, unknown) = (TimeSpan.MaxValue, TimeSpan.MaxValue);
        for (var i = 0; i < 4 || (i < 20 && unknown / known is not (>= 0.5 and <= 2.0)); i++)
        {
            known = Lesser(known, await TimeAsync(ann.Email));
            unknown = Lesser(unknown, await TimeAsync(AccountsApi.NewEmail()));
        }

        // The hash is nearly all of it; without one, the answer would always take a tenth.
        Assert.InRange(unknown / known, 0.5, 2.0);

        async Task<TimeSpan> TimeAsync(string email)
        {
            var started = Stopwatch.GetTimestamp();
            using var answer = await TryAsync(_api, email);
            return Stopwatch.GetElapsedTime(started);
        }

        static TimeSpan Lesser(TimeSpan one, TimeSpan other) => one < other ? one : other;
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Login_ManyWrongPasswords_SlowTheirNetworkAndNobodyElse(bool withRedis)
    {
        await using var api = new AccountsApi(
            fixture.Database.App, withRedis ? fixture.Database.Redis : null, ("Accounts:SignIn:FirstDelay", "00:10:00"));
        var ann = await api.SignUpAsync();
        var network = Network();
        for (var i = 0; i < 5; i++)
        {
            using var wrong = await TryAsync(api, ann.Email, network: network);
            Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
        }

        using var right = await TryAsync(api, ann.Email, AccountsApi.Password, network);
        await ApiHost.ProblemAsync(right, 429);
        Assert.InRange(right.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 500, 601);
        await api.SignInAsync(ann.Email);
    }

    [Fact]
    public async Task Login_ManyWrongPasswordsForNobody_AreSlowedTheSame()
    {
        await using var api = new AccountsApi(fixture.Database.App, fixture.Database.Redis, ("Accounts:SignIn:FirstDelay", "00:10:00"));
        var (email, network) = (AccountsApi.NewEmail(), Network());
        var codes = new List<HttpStatusCode>();
        for (var i = 0; i < 6; i++)
        {
            using var answer = await TryAsync(api, email, network: network);
            codes.Add(answer.StatusCode);
        }

        Assert.Equal([.. Enumerable.Repeat(HttpStatusCode.Unauthorized, 5), HttpStatusCode.TooManyRequests], codes);
    }

    [Fact]
    public async Task Login_GuessesAtTheSameMoment_AreCountedOneByOne()
    {
        await using var api = new AccountsApi(fixture.Database.App, fixture.Database.Redis, ("Accounts:SignIn:FirstDelay", "00:10:00"));
        var ann = await api.SignUpAsync();
        var network = Network();

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => TryAsync(api, ann.Email, network: network)));

        Assert.Equal(5, answers.Count(answer => answer.StatusCode == HttpStatusCode.Unauthorized));
        Assert.Equal(15, answers.Count(answer => answer.StatusCode == HttpStatusCode.TooManyRequests));
    }

    [Fact]
    public async Task Login_OnePasswordForManyAccounts_IsStopped()
    {
        await using var api = new AccountsApi(fixture.Database.App, fixture.Database.Redis, ("Accounts:SignIn:MaxPerNetwork", "10"));
        // There, the network that every test signs in from has no bound.
        var ann = await fixture.Api.SignUpAsync();
        var network = Network();
        for (var i = 0; i < 10; i++)
        {
            using var wrong = await TryAsync(api, AccountsApi.NewEmail(), network: network);
            Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
        }

        using var eleventh = await TryAsync(api, ann.Email, AccountsApi.Password, network);
        await ApiHost.ProblemAsync(eleventh, 429);
    }

    [Fact]
    public async Task Login_AccountGuessedAtFromManyNetworks_IsClosedToThemAndNotToItsOwner()
    {
        await using var api = new AccountsApi(fixture.Database.App, fixture.Database.Redis, ("Accounts:SignIn:MaxPerAccount", "6"));
        var ann = await api.SignUpAsync();
        for (var i = 0; i < 6; i++)
        {
            using var wrong = await TryAsync(api, ann.Email, network: Network());
            Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
        }

        using var stranger = await TryAsync(api, ann.Email, AccountsApi.Password, Network());
        await ApiHost.ProblemAsync(stranger, 429);
        await api.SignInAsync(ann.Email);
    }

    [Fact]
    public async Task Login_RightPassword_ForgivesTheWrongOnesBefore()
    {
        await using var api = new AccountsApi(fixture.Database.App, fixture.Database.Redis, ("Accounts:SignIn:FirstDelay", "00:10:00"));
        var ann = await api.SignUpAsync();
        for (var round = 0; round < 3; round++)
        {
            for (var i = 0; i < 4; i++)
            {
                using var wrong = await TryAsync(api, ann.Email);
                Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
            }

            await api.SignInAsync(ann.Email);
        }
    }

    [Fact]
    public async Task Login_MoreAtOnceThanCanBeHashed_AreAskedToComeBack()
    {
        await using var api = new AccountsApi(
            fixture.Database.App, fixture.Database.Redis,
            ("Accounts:Passwords:MaxConcurrent", "1"), ("Accounts:Passwords:MaxWaiting", "2"));
        var ann = await api.SignUpAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => TryAsync(api, AccountsApi.NewEmail())));

        Assert.All(answers, answer => Assert.True(answer.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.ServiceUnavailable));
        var busy = answers.Where(answer => answer.StatusCode == HttpStatusCode.ServiceUnavailable).ToArray();
        Assert.NotEmpty(busy);
        Assert.All(busy, answer => Assert.NotNull(answer.Headers.RetryAfter));
        await api.SignInAsync(ann.Email);
    }

    [Fact]
    public async Task Login_WithCookies_TheTokensAreInNoAnswerAndNoScriptReadsThem()
    {
        var ann = await _api.SignUpAsync();

        using var response = await _api.PostAsync(
            "/api/auth/login",
            new { email = ann.Email, password = AccountsApi.Password, cookies = true });

        var cookies = response.Headers.GetValues("Set-Cookie").ToArray();
        Assert.Equal(2, cookies.Length);
        Assert.All(cookies, cookie =>
        {
            foreach (var attribute in Attributes)
                Assert.Contains(attribute, cookie, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("domain", cookie, StringComparison.OrdinalIgnoreCase);
        });
        Assert.Contains(cookies, cookie => IsSet(cookie, "__Host-vc-access=eyJ", "path=/;"));
        Assert.Contains(cookies, cookie => IsSet(cookie, "__Secure-vc-refresh=vcr_", "path=/api/auth"));
        var data = await AccountsApi.DataAsync(response);
        Assert.Equal(JsonValueKind.Null, data.GetProperty("accessToken").ValueKind);
        Assert.Equal(JsonValueKind.Null, data.GetProperty("refreshToken").ValueKind);
    }

    [Fact]
    public async Task Login_TenantOfSomebodyElse_Is403()
    {
        var (ann, bob) = (await _api.SignUpAsync(), await _api.SignUpAsync());

        await ApiHost.ProblemAsync(
            await _api.PostAsync(
                "/api/auth/login",
                new { email = ann.Email, password = AccountsApi.Password, tenantId = bob.Tenant }),
            403);
    }

    [Fact]
    public async Task Login_DatabaseAway_Is503()
    {
        await using var api = new AccountsApi("Host=127.0.0.1;Port=9;Username=nobody;Database=none;Timeout=1", null);

        await ApiHost.ProblemAsync(await TryAsync(api, AccountsApi.NewEmail()), 503);
    }

    private static Task<HttpResponseMessage> TryAsync(
        AccountsApi api, string email, string password = "not the password", string? network = null) =>
        api.PostAsync("/api/auth/login", new { email, password }, network: network);

    private static bool IsSet(string cookie, string start, string path) =>
        cookie.StartsWith(start, StringComparison.Ordinal) && cookie.Contains(path, StringComparison.Ordinal);

    // A network of the test's own.
    private static string Network() => $"127.{Random.Shared.Next(8, 255)}.{Random.Shared.Next(256)}.{Random.Shared.Next(1, 255)}";

    private async Task<HttpResponseMessage> DisabledAsync()
    {
        var eve = await _api.SignUpAsync();
        await MigratedDatabase.ExecuteAsync(fixture.Database.Admin, $"UPDATE users SET disabled_at = now() WHERE id = '{eve.User}'");
        return await TryAsync(_api, eve.Email, AccountsApi.Password);
    }

    /// <summary>Everything but what differs between any two requests.</summary>
    private static async Task<string> PlainAsync(HttpResponseMessage response)
    {
        var problem = await ApiHost.ProblemAsync(response, 401);
        var headers = response.Headers
            .Where(header => header.Key != "Date")
            .SelectMany(header => header.Value.Select(value => $"{header.Key}: {value}"));
        var members = problem.EnumerateObject()
            .Where(property => property.Name != "traceId")
            .Select(property => property.ToString());
        return string.Join('\n', members.Concat(headers));
    }
}
