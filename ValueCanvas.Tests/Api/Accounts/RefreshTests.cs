using System.Net;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Api.Accounts;

public sealed class RefreshTests(AccountsFixture fixture) : IClassFixture<AccountsFixture>
{
    private readonly AccountsApi _api = fixture.Api;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Refresh_Token_GivesTheNextOnes()
    {
        var ann = await _api.EnterAsync();

        var next = await _api.RefreshAsync(ann);
        var third = await _api.RefreshAsync(next);

        Assert.Equal((ann.Session, ann.User, ann.Tenant), (third.Session, third.User, third.Tenant));
        Assert.Equal(3, new[] { ann.Refresh, next.Refresh, third.Refresh }.Distinct().Count());
    }

    [Fact]
    public async Task Refresh_AnswerLost_TheSameTokenGetsTheSameSuccessor()
    {
        var ann = await _api.EnterAsync();

        var once = await _api.RefreshAsync(ann);
        var again = await _api.RefreshAsync(ann);

        Assert.Equal(once.Refresh, again.Refresh);
        await _api.RefreshAsync(again);
    }

    [Fact]
    public async Task Refresh_ManyTabsAtOnce_AllGetTheSameSuccessor()
    {
        var ann = await _api.EnterAsync();

        var tabs = await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => _api.RefreshAsync(ann)));

        var successor = Assert.Single(tabs.Select(tab => tab.Refresh).Distinct());
        await _api.RefreshAsync(ann with { Refresh = successor });
    }

    /// <summary>A thief used the token first; then whoever it was stolen from comes with it.</summary>
    [Fact]
    public async Task Refresh_StolenTokenAfterItsSuccessorWasUsed_TheWholeFamilyIsDead()
    {
        var ann = await _api.EnterAsync();
        var thief = await _api.RefreshAsync(ann);
        thief = await _api.RefreshAsync(thief);

        await RefusedAsync(ann.Refresh);

        await RefusedAsync(thief.Refresh);
        Assert.Equal("reuse", await ReasonAsync(ann.Session));
    }

    [Fact]
    public async Task Refresh_StolenTokenAfterTheGrace_TheWholeFamilyIsDead()
    {
        await using var api = new AccountsApi(fixture.Database.App, fixture.Database.Redis, ("Accounts:Sessions:Grace", "00:00:00"));
        var ann = await api.EnterAsync();
        var next = await api.RefreshAsync(ann);

        await ApiHost.ProblemAsync(await api.PostAsync("/api/auth/refresh", new { refreshToken = ann.Refresh }), 401);

        await ApiHost.ProblemAsync(await api.PostAsync("/api/auth/refresh", new { refreshToken = next.Refresh }), 401);
        Assert.Equal("reuse", await ReasonAsync(ann.Session));
    }

    [Fact]
    public async Task Refresh_OtherSessionOfTheUser_SurvivesTheTheft()
    {
        var ann = await _api.SignUpAsync();
        var phone = await _api.SignInAsync(ann.Email);
        await _api.RefreshAsync(await _api.RefreshAsync(ann));
        await RefusedAsync(ann.Refresh);

        await _api.RefreshAsync(phone);
    }

    [Theory]
    [InlineData("UPDATE refresh_tokens SET expires_at = now() WHERE session_id = '{0}'")]
    [InlineData("UPDATE sessions SET expires_at = now() WHERE id = '{0}'")]
    [InlineData("UPDATE sessions SET ended_at = now(), end_reason = 'ended' WHERE id = '{0}'")]
    [InlineData("UPDATE users SET disabled_at = now() WHERE id = (SELECT user_id FROM sessions WHERE id = '{0}')")]
    [InlineData("DELETE FROM sessions WHERE id = '{0}'")]
    public async Task Refresh_SessionOver_Is401(string sql)
    {
        var ann = await _api.EnterAsync();
        await MigratedDatabase.ExecuteAsync(
            fixture.Database.Admin, string.Format(System.Globalization.CultureInfo.InvariantCulture, sql, ann.Session));

        await RefusedAsync(ann.Refresh);
    }

    [Theory]
    [InlineData("")]
    [InlineData("vcr_")]
    [InlineData("vcr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("vcr_AAAA")]
    [InlineData("vci_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("' OR 1=1 --")]
    public async Task Refresh_NoToken_Is401(string token) => await RefusedAsync(token);

    [Fact]
    public async Task Refresh_NothingAtAll_Is401() => await ApiHost.ProblemAsync(await _api.PostAsync("/api/auth/refresh", "{}"), 401);

    [Fact]
    public async Task Refresh_AnotherTenant_GoesOnThere()
    {
        var (ann, bob) = (await _api.EnterAsync(), await _api.EnterAsync());
        await MigratedDatabase.ExecuteAsync(
            fixture.Database.Admin, $"INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{bob.Tenant}', '{ann.User}', 'viewer')");

        var there = await _api.RefreshAsync(ann, bob.Tenant);

        Assert.Equal(bob.Tenant, there.Tenant);
        Assert.Equal(bob.Tenant, (await _api.RefreshAsync(there)).Tenant);
    }

    [Fact]
    public async Task Refresh_TenantOfSomebodyElse_Is403AndTheTokenStillWorks()
    {
        var (ann, bob) = (await _api.EnterAsync(), await _api.EnterAsync());

        await ApiHost.ProblemAsync(
            await _api.PostAsync("/api/auth/refresh", new { refreshToken = ann.Refresh, tenantId = bob.Tenant }),
            403);

        await _api.RefreshAsync(ann);
    }

    [Fact]
    public async Task Refresh_RemovedFromTheTenant_GoesOnInTheOneThatIsLeft()
    {
        var (ann, bob) = (await _api.EnterAsync(), await _api.EnterAsync());
        await MigratedDatabase.ExecuteAsync(
            fixture.Database.Admin, $"INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{bob.Tenant}', '{ann.User}', 'viewer')");
        var there = await _api.RefreshAsync(ann, bob.Tenant);
        await MigratedDatabase.ExecuteAsync(
            fixture.Database.Admin, $"DELETE FROM memberships WHERE tenant_id = '{bob.Tenant}' AND user_id = '{ann.User}'");

        Assert.Equal(ann.Tenant, (await _api.RefreshAsync(there)).Tenant);
    }

    [Fact]
    public async Task Refresh_ByCookie_SetsTheNextCookies()
    {
        var ann = await _api.EnterAsync();

        using var response = await _api.SendAsync(
            HttpMethod.Post, "/api/auth/refresh", "{}", cookie: $"__Secure-vc-refresh={ann.Refresh}");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(2, response.Headers.GetValues("Set-Cookie").Count());
        Assert.DoesNotContain("vcr_", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Logout_ByRefreshToken_EndsTheSession()
    {
        var ann = await _api.EnterAsync();

        var data = await AccountsApi.DataAsync(await _api.PostAsync("/api/auth/logout", new { refreshToken = ann.Refresh }));

        Assert.Equal(1, data.GetProperty("ended").GetInt32());
        await RefusedAsync(ann.Refresh);
        Assert.Equal("logout", await ReasonAsync(ann.Session));
    }

    [Fact]
    public async Task Logout_ByAccessToken_EndsTheSession()
    {
        var ann = await _api.EnterAsync();

        await AccountsApi.DataAsync(await _api.PostAsync("/api/auth/logout", "{}", ann.Access));

        await RefusedAsync(ann.Refresh);
    }

    [Fact]
    public async Task Logout_NobodySignedIn_StillAnswers() =>
        Assert.Equal(0, (await AccountsApi.DataAsync(await _api.PostAsync("/api/auth/logout", "{}"))).GetProperty("ended").GetInt32());

    [Fact]
    public async Task Database_HoldsNoRefreshToken()
    {
        var ann = await _api.EnterAsync();

        Assert.Equal(0, await fixture.Database.ScalarAsync<long>(
            $"SELECT count(*) FROM refresh_tokens "
            + $"WHERE encode(hash, 'base64') LIKE '%{ann.Refresh[4..20].Replace('-', '+').Replace('_', '/')}%'"));
    }

    private async Task RefusedAsync(string refreshToken)
    {
        var problem = await ApiHost.ProblemAsync(await _api.PostAsync("/api/auth/refresh", new { refreshToken }), 401);
        Assert.Equal("urn:valuecanvas:problem:session-ended", problem.GetProperty("type").GetString());
    }

    private Task<string> ReasonAsync(Guid session) =>
        fixture.Database.ScalarAsync<string>($"SELECT coalesce(end_reason, '') FROM sessions WHERE id = '{session}'");
}
