using System.Diagnostics;
using System.Net;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Api.Accounts;

public sealed class SessionTests(AccountsFixture fixture) : IClassFixture<AccountsFixture>
{
    private const string NewPassword = "another quiet harbour";

    private readonly AccountsApi _api = fixture.Api;

    [Fact]
    public async Task List_SessionsOfTheUser_AndOfNobodyElse()
    {
        var ann = await _api.SignUpAsync();
        var phone = await _api.SignInAsync(ann.Email);
        await _api.SignUpAsync();

        var items = (await AccountsApi.DataAsync(await _api.GetAsync("/api/auth/sessions", phone.Access))).GetProperty("items");

        Assert.Equal(
            [(phone.Session, true), (ann.Session, false)],
            items.EnumerateArray().Select(item => (item.GetProperty("id").GetGuid(), item.GetProperty("current").GetBoolean())));
    }

    [Fact]
    public async Task End_OneSession_EndsThatAlone()
    {
        var ann = await _api.SignUpAsync();
        var phone = await _api.SignInAsync(ann.Email);
        Assert.Equal(HttpStatusCode.OK, await MeAsync(_api, phone));

        using var ended = await _api.SendAsync(HttpMethod.Delete, $"/api/auth/sessions/{phone.Session}", bearer: ann.Access);

        Assert.Equal(HttpStatusCode.OK, ended.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, await MeAsync(_api, phone));
        await ApiHost.ProblemAsync(await _api.PostAsync("/api/auth/refresh", new { refreshToken = phone.Refresh }), 401);
        await _api.RefreshAsync(ann);
    }

    [Fact]
    public async Task End_SessionOfSomebodyElse_Is404()
    {
        var (ann, bob) = (await _api.SignUpAsync(), await _api.SignUpAsync());

        await ApiHost.ProblemAsync(await _api.SendAsync(HttpMethod.Delete, $"/api/auth/sessions/{bob.Session}", bearer: ann.Access), 404);

        await _api.RefreshAsync(bob);
    }

    [Fact]
    public async Task End_AllOthers_LeavesThisOne()
    {
        var ann = await _api.SignUpAsync();
        var phone = await _api.SignInAsync(ann.Email);

        var data = await AccountsApi.DataAsync(await _api.SendAsync(HttpMethod.Delete, "/api/auth/sessions", bearer: ann.Access));

        Assert.Equal(1, data.GetProperty("ended").GetInt32());
        Assert.Equal(HttpStatusCode.Unauthorized, await MeAsync(_api, phone));
        Assert.Equal(HttpStatusCode.OK, await MeAsync(_api, ann));
    }

    [Fact]
    public async Task End_AtOneInstance_IsRefusedAtTheOtherWithinASecond()
    {
        await using var other = new AccountsApi(fixture.Database.App, fixture.Database.Redis);
        var ann = await _api.SignUpAsync();
        await Effect.WithinASecondAsync(async () =>
        {
            var phone = await _api.SignInAsync(ann.Email);
            Assert.Equal(HttpStatusCode.OK, await MeAsync(other, phone));

            await AccountsApi.DataAsync(await _api.PostAsync("/api/auth/logout", new { refreshToken = phone.Refresh }));

            var started = Stopwatch.GetTimestamp();
            await ProxyHost.UntilAsync(async () => await MeAsync(other, phone) == HttpStatusCode.Unauthorized);
            return Stopwatch.GetElapsedTime(started);
        });
        Assert.Equal(HttpStatusCode.OK, await MeAsync(other, ann));
    }

    [Fact]
    public async Task StolenRefreshToken_UsedTwice_EndsTheAccessTokenToo()
    {
        var ann = await _api.SignUpAsync();
        var thief = await _api.RefreshAsync(await _api.RefreshAsync(ann));
        Assert.Equal(HttpStatusCode.OK, await MeAsync(_api, thief));

        await ApiHost.ProblemAsync(await _api.PostAsync("/api/auth/refresh", new { refreshToken = ann.Refresh }), 401);

        await ProxyHost.UntilAsync(async () => await MeAsync(_api, thief) == HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task Password_Changed_EndsAllOtherSessions()
    {
        var ann = await _api.SignUpAsync();
        var phone = await _api.SignInAsync(ann.Email);

        await AccountsApi.DataAsync(await ChangeAsync(ann, AccountsApi.Password, NewPassword));

        Assert.Equal(HttpStatusCode.Unauthorized, await MeAsync(_api, phone));
        await ApiHost.ProblemAsync(await _api.PostAsync("/api/auth/refresh", new { refreshToken = phone.Refresh }), 401);
        await _api.RefreshAsync(ann);
        await _api.SignInAsync(ann.Email, NewPassword);
        await ApiHost.ProblemAsync(
            await _api.PostAsync("/api/auth/login", new { email = ann.Email, password = AccountsApi.Password }),
            401);
    }

    [Fact]
    public async Task Password_OldOneWrong_Is400AndNothingChanges()
    {
        var ann = await _api.SignUpAsync();

        var problem = await ApiHost.ProblemAsync(await ChangeAsync(ann, "not the password", NewPassword), 400);

        Assert.True(problem.GetProperty("errors").TryGetProperty("currentPassword", out _));
        await _api.SignInAsync(ann.Email);
    }

    [Fact]
    public async Task Password_OldOneGuessedAt_IsSlowed()
    {
        await using var api = new AccountsApi(fixture.Database.App, fixture.Database.Redis, ("Accounts:SignIn:FirstDelay", "00:10:00"));
        var ann = await api.SignUpAsync();
        for (var i = 0; i < 5; i++)
            await ApiHost.ProblemAsync(await api.PostAsync("/api/auth/password", Body("not the password"), ann.Access), 400);

        await ApiHost.ProblemAsync(await api.PostAsync("/api/auth/password", Body(AccountsApi.Password), ann.Access), 429);

        static object Body(string current) => new { currentPassword = current, newPassword = NewPassword };
    }

    [Theory]
    [InlineData("short")]
    [InlineData("password123")]
    [InlineData(AccountsApi.Password)]
    public async Task Password_NewOneBad_Is400(string password)
    {
        var ann = await _api.SignUpAsync();

        var problem = await ApiHost.ProblemAsync(await ChangeAsync(ann, AccountsApi.Password, password), 400);

        Assert.True(problem.GetProperty("errors").TryGetProperty("newPassword", out _));
    }

    [Fact]
    public async Task Password_OfTheOwnAddress_Is400()
    {
        var name = $"annabelle{Random.Shared.Next(1000, 9999)}";
        var ann = await _api.SignUpAsync($"{name}@example.com");

        await ApiHost.ProblemAsync(await ChangeAsync(ann, AccountsApi.Password, $"{name}!"), 400);
    }

    [Theory]
    [InlineData("/api/auth/me")]
    [InlineData("/api/auth/sessions")]
    [InlineData("/api/tenants")]
    public async Task Route_NobodySignedIn_Is401(string path) => await ApiHost.ProblemAsync(await _api.GetAsync(path), 401);

    private Task<HttpResponseMessage> ChangeAsync(SignedIn who, string currentPassword, string newPassword) =>
        _api.PostAsync("/api/auth/password", new { currentPassword, newPassword }, who.Access);

    private static async Task<HttpStatusCode> MeAsync(AccountsApi api, SignedIn who)
    {
        using var response = await api.GetAsync("/api/auth/me", who.Access);
        return response.StatusCode;
    }
}
