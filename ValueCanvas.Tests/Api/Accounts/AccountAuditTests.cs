using ValueCanvas.Tests.InferenceProxy;

namespace ValueCanvas.Tests.Api.Accounts;

/// <summary>What people do with accounts stands in the log, under their name, and nothing that is theirs to know.</summary>
public sealed class AccountAuditTests(AccountsFixture fixture) : IClassFixture<AccountsFixture>
{
    private const string NewPassword = "another quiet harbour";

    private readonly AccountsApi _api = fixture.Api;

    [Fact]
    public async Task Account_FromItsRegistrationToItsEnd_StandsInTheLogWithNothingThatIsSecret()
    {
        var (ann, bob) = (await _api.SignUpAsync(), await _api.SignUpAsync());
        await SendAsync(HttpMethod.Post, "/api/auth/register", new { email = ann.Email, password = AccountsApi.Password });
        await SendAsync(HttpMethod.Post, "/api/auth/login", new { email = ann.Email, password = NewPassword });
        await SendAsync(
            HttpMethod.Post, "/api/auth/password", new { currentPassword = NewPassword, newPassword = "a third one of them" },
            ann.Access);
        await SendAsync(
            HttpMethod.Post, "/api/auth/password", new { currentPassword = AccountsApi.Password, newPassword = NewPassword }, ann.Access);
        var members = $"/api/tenants/{ann.Tenant}/members/{bob.User}";
        var invited = await AccountsApi.DataAsync(
            await _api.PostAsync($"/api/tenants/{ann.Tenant}/invitations", new { email = bob.Email, role = "viewer" }, ann.Access));
        var token = invited.GetProperty("token").GetString();
        await SendAsync(HttpMethod.Post, "/api/invitations/accept", new { token }, bob.Access);
        await SendAsync(HttpMethod.Post, "/api/invitations/accept", new { token }, bob.Access);
        var there = await _api.RefreshAsync(await _api.RefreshAsync(bob), ann.Tenant);
        await SendAsync(HttpMethod.Patch, members, new { role = "member" }, ann.Access);
        await SendAsync(HttpMethod.Delete, members, null, ann.Access);
        var revoked = await AccountsApi.DataAsync(
            await _api.PostAsync($"/api/tenants/{ann.Tenant}/invitations", new { email = bob.Email }, ann.Access));
        await SendAsync(
            HttpMethod.Delete,
            $"/api/tenants/{ann.Tenant}/invitations/{revoked.GetProperty("invitation").GetProperty("id").GetString()}",
            null,
            ann.Access);
        await SendAsync(HttpMethod.Post, "/api/tenants", new { name = "Another" }, ann.Access);
        var phone = await _api.SignInAsync(ann.Email, NewPassword);
        await SendAsync(HttpMethod.Delete, $"/api/auth/sessions/{phone.Session}", null, ann.Access);
        await SendAsync(HttpMethod.Delete, "/api/auth/sessions", null, ann.Access);
        await SendAsync(HttpMethod.Post, "/api/auth/refresh", new { refreshToken = bob.Refresh });
        await SendAsync(HttpMethod.Post, "/api/auth/logout", new { refreshToken = ann.Refresh });

        string[] expected =
        [
            "auth.login failure anonymous nobody", "auth.login success user ann", "auth.login success user bob",
            "auth.logout success user ann",
            "auth.password_changed failure user ann", "auth.password_changed success user ann", "auth.refresh denied anonymous nobody",
            "auth.refresh success user bob", "auth.register failure anonymous nobody", "auth.register success user ann",
            "auth.register success user bob", "auth.session_ended success user ann", "auth.sessions_ended success user ann",
            "invitation.accepted denied user bob", "invitation.accepted success user bob", "invitation.created success user ann",
            "invitation.revoked success user ann", "member.removed success user ann", "member.role_changed success user ann",
            "tenant.created success user ann",
        ];
        string[] found = [];
        await ProxyHost.UntilAsync(async () => (found = await EventsAsync(ann, bob)).Contains("auth.logout success user ann"));
        Assert.Equal(expected, found);

        // The theft of a token of a tenant's member is that tenant's to see.
        Assert.Equal(
            there.Tenant,
            await fixture.Database.ScalarAsync<Guid>(
                "SELECT tenant_id FROM audit_log WHERE event = 'auth.refresh' AND outcome = 'denied'"));
        string[] secrets = [ann.Email, AccountsApi.Password, NewPassword, token![4..], ann.Refresh[4..], there.Access[^20..], "127.0.0.1"];
        foreach (var secret in secrets)
            {
                Assert.Equal(
                    0,
                    await fixture.Database.ScalarAsync<long>($"SELECT count(*) FROM audit_log l WHERE strpos(l::text, '{secret}') > 0"));
            }
    }

    private async Task SendAsync(HttpMethod method, string path, object? body, string? bearer = null)
    {
        using var answer = await _api.SendAsync(method, path, body, bearer);
        Assert.True((int)answer.StatusCode < 500, $"{method} {path}: {(int)answer.StatusCode}");
    }

    private async Task<string[]> EventsAsync(SignedIn ann, SignedIn bob)
    {
        var events = await fixture.Database.ScalarAsync<string>(
            $"""
             SELECT coalesce(string_agg(DISTINCT concat_ws(' ', event, outcome, actor_kind,
                 CASE actor_id WHEN '{ann.User}' THEN 'ann' WHEN '{bob.User}' THEN 'bob' ELSE 'nobody' END), ','), '')
             FROM audit_log WHERE actor_kind <> 'system'
             """);
        return [.. events.Split(',').Order(StringComparer.Ordinal)];
    }
}
