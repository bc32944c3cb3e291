using System.Net;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Api.Accounts.Passwords;

/// <summary>A code for a forgotten password: issued by who may, works once, for a while, and tells those without one nothing.</summary>
public sealed class PasswordResetTests(AccountsFixture fixture) : IClassFixture<AccountsFixture>
{
    private const string NewPassword = "seven boats under a red bridge";

    private readonly AccountsApi _api = fixture.Api;

    [Fact]
    public async Task Operator_IssuesACode_ItSetsThePasswordOnceAndEndsAllSessions_AndBothAreInTheAuditLog()
    {
        var ann = await _api.EnterAsync();
        using var issuing = await IssueAsync(ann.Email);
        Assert.True(issuing.Headers.CacheControl!.NoStore);
        var issued = await AccountsApi.DataAsync(issuing);
        var code = issued.GetProperty("token").GetString()!;
        Assert.Equal(ann.User, issued.GetProperty("userId").GetGuid());
        Assert.Equal(
            0,
            await fixture.Database.ScalarAsync<long>($"SELECT count(*) FROM password_resets r WHERE r::text LIKE '%{code[4..20]}%'"));

        using (var weak = await RedeemAsync(code, "password1"))
            await ApiHost.ProblemAsync(weak, 400);
        using (var own = await RedeemAsync(code, ann.Email))
            await ApiHost.ProblemAsync(own, 400);
        using (var redeemed = await RedeemAsync(code))
            Assert.Equal(HttpStatusCode.OK, redeemed.StatusCode);

        using (var me = await _api.GetAsync("/api/auth/me", ann.Access))
            Assert.Equal(HttpStatusCode.Unauthorized, me.StatusCode);
        using (var refreshed = await _api.PostAsync("/api/auth/refresh", new { refreshToken = ann.Refresh }))
            await ApiHost.ProblemAsync(refreshed, 401);
        Assert.Equal(ann.User, (await _api.SignInAsync(ann.Email, NewPassword)).User);
        using (var again = await RedeemAsync(code, "another quiet harbour at dawn"))
            await ApiHost.ProblemAsync(again, 401);
        Assert.Equal(
            "auth.password_reset_issued operator,auth.password_reset user",
            await fixture.Database.ScalarAsync<string>(
                $"""
                 SELECT string_agg(event || ' ' || actor_kind, ',' ORDER BY occurred_at) FROM audit_log
                 WHERE subject_id = '{ann.User}' AND event LIKE 'auth.password_reset%' AND outcome = 'success'
                 """));
    }

    [Fact]
    public async Task Code_ThatDoesNotHold_GetsTheSameAnswerWhateverIsWrongWithIt()
    {
        var (ann, bob, eve) = (await _api.EnterAsync(), await _api.EnterAsync(), await _api.EnterAsync());
        var replaced = await CodeAsync(ann.Email);
        var latest = await CodeAsync(ann.Email);
        var (expired, disabled) = (await CodeAsync(bob.Email), await CodeAsync(eve.Email));
        await MigratedDatabase.ExecuteAsync(
            fixture.Database.Admin,
            $"""
             UPDATE password_resets SET expires_at = now() WHERE user_id = '{bob.User}';
             UPDATE users SET disabled_at = now() WHERE id = '{eve.User}';
             """);

        var answers = new List<string>();
        foreach (var code in new[] { replaced, expired, disabled, $"vcp_{new string('A', 43)}", "vcp_", "nothing" })
        {
            // Each from a network of its own, for there the tries are counted.
            using var refused = await RedeemAsync(code, network: $"127.9.0.{answers.Count + 1}");
            var problem = await ApiHost.ProblemAsync(refused, 401);
            answers.Add(problem.GetProperty("type").GetString() + problem.GetProperty("detail").GetString());
        }

        Assert.Single(answers.Distinct());
        using var held = await RedeemAsync(latest);
        Assert.Equal(HttpStatusCode.OK, held.StatusCode);
    }

    [Fact]
    public async Task Code_BroughtTwiceAtOnce_SetsOnePassword()
    {
        var ann = await _api.EnterAsync();
        var code = await CodeAsync(ann.Email);
        string[] passwords = [NewPassword, "eight boats under a blue bridge"];

        var redeemed = await Task.WhenAll(passwords.Select(password => RedeemAsync(code, password)));

        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.Unauthorized], redeemed.Select(answer => answer.StatusCode).Order());
        var won = Array.FindIndex(redeemed, answer => answer.IsSuccessStatusCode);
        await _api.SignInAsync(ann.Email, passwords[won]);
    }

    [Fact]
    public async Task Codes_Guessed_AreSlowedDownByNetwork()
    {
        var statuses = new List<HttpStatusCode>();
        for (var i = 0; i < 8; i++)
        {
            using var refused = await RedeemAsync("vcp_guess", network: "127.9.1.1");
            statuses.Add(refused.StatusCode);
        }

        Assert.Contains(HttpStatusCode.TooManyRequests, statuses);
        Assert.Equal(HttpStatusCode.Unauthorized, statuses[0]);
    }

    [Fact]
    public async Task Owner_OfAllTenantsOfAMember_MayIssue_NobodyElseMay()
    {
        var (ann, bob) = (await _api.EnterAsync(), await _api.EnterAsync());
        await MemberAsync(ann.Tenant, bob.User, "admin");

        // Bob has a tenant of his own, and whoever has the code has that, too.
        using (var elsewhere = await IssueAsync(ann, bob.User))
            await ApiHost.ProblemAsync(elsewhere, 403);
        await MigratedDatabase.ExecuteAsync(fixture.Database.Admin, $"DELETE FROM memberships WHERE tenant_id = '{bob.Tenant}'");
        var code = (await AccountsApi.DataAsync(await IssueAsync(ann, bob.User))).GetProperty("token").GetString()!;
        using (var redeemed = await RedeemAsync(code))
            Assert.Equal(HttpStatusCode.OK, redeemed.StatusCode);
        bob = await _api.SignInAsync(bob.Email, NewPassword);

        using (var notAnOwner = await IssueAsync(bob, ann.User))
            await ApiHost.ProblemAsync(notAnOwner, 403);
        using (var notAMember = await IssueAsync(ann, Guid.NewGuid()))
            await ApiHost.ProblemAsync(notAMember, 404);
        using (var notAnOperator = await _api.PostAsync("/api/admin/password-resets", new { email = bob.Email }, ann.Access))
            await ApiHost.ProblemAsync(notAnOperator, 403);
        using (var nobody = await IssueAsync(AccountsApi.NewEmail()))
            await ApiHost.ProblemAsync(nobody, 404);
        await MigratedDatabase.ExecuteAsync(fixture.Database.Admin, $"UPDATE users SET is_operator = true WHERE id = '{bob.User}'");
        using (var anOperator = await IssueAsync(ann, bob.User))
            await ApiHost.ProblemAsync(anOperator, 403);
        await MigratedDatabase.ExecuteAsync(fixture.Database.Admin, $"UPDATE users SET is_operator = false WHERE id = '{bob.User}'");
    }

    private Task MemberAsync(Guid tenant, Guid user, string role) => MigratedDatabase.ExecuteAsync(
        fixture.Database.Admin, $"INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{tenant}', '{user}', '{role}')");

    private async Task<string> CodeAsync(string email) =>
        (await AccountsApi.DataAsync(await IssueAsync(email))).GetProperty("token").GetString()!;

    private Task<HttpResponseMessage> IssueAsync(string email) => _api.PostAsync("/api/admin/password-resets", new { email }, ApiHost.Key);

    private Task<HttpResponseMessage> IssueAsync(SignedIn owner, Guid user) =>
        _api.SendAsync(HttpMethod.Post, $"/api/tenants/{owner.Tenant}/members/{user}/password-reset", bearer: owner.Access);

    private Task<HttpResponseMessage> RedeemAsync(string token, string newPassword = NewPassword, string? network = null) =>
        _api.PostAsync("/api/auth/password/reset", new { token, newPassword }, network: network);
}
