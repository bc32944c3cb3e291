using System.Net;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Api.Accounts;

public sealed class TenantTests(AccountsFixture fixture) : IClassFixture<AccountsFixture>
{
    private readonly AccountsApi _api = fixture.Api;

    [Fact]
    public async Task Me_SaysWhoAndWhere()
    {
        var ann = await _api.EnterAsync();

        var me = await AccountsApi.DataAsync(await _api.GetAsync("/api/auth/me", ann.Access));

        Assert.Equal(ann.User, me.GetProperty("userId").GetGuid());
        Assert.Equal(ann.Email, me.GetProperty("email").GetString());
        Assert.Equal(ann.Tenant, me.GetProperty("tenant").GetProperty("id").GetGuid());
        Assert.Equal("owner", me.GetProperty("tenant").GetProperty("role").GetString());
        Assert.False(me.GetProperty("isOperator").GetBoolean());
        Assert.Equal(1, me.GetProperty("tenants").GetArrayLength());
    }

    [Fact]
    public async Task Create_Tenant_IsTheUsersAndListed()
    {
        var ann = await _api.EnterAsync();

        using var created = await _api.PostAsync("/api/tenants", new { name = "Bäckerei Krümel" }, ann.Access);

        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        var id = (await AccountsApi.DataAsync(created)).GetProperty("id").GetGuid();
        var list = (await AccountsApi.DataAsync(await _api.GetAsync("/api/tenants", ann.Access))).GetProperty("items");
        Assert.Equal([ann.Tenant, id], list.EnumerateArray().Select(item => item.GetProperty("id").GetGuid()));
        Assert.Equal(id, (await _api.RefreshAsync(ann, id)).Tenant);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"name":""}""")]
    [InlineData("""{"name":"a\nb"}""")]
    [InlineData("""{"name":"a\u202eb"}""")]
    [InlineData("""{"name":"a","id":"00000000-0000-0000-0000-000000000001"}""")]
    public async Task Create_NoName_Is400(string body)
    {
        var ann = await _api.EnterAsync();

        await ApiHost.ProblemAsync(await _api.PostAsync("/api/tenants", body, ann.Access), 400);
    }

    [Fact]
    public async Task Members_OfTheTenant_AreListedWithTheirRoles()
    {
        var (ann, bob) = await PairAsync("viewer");

        var members = await AccountsApi.DataAsync(await _api.GetAsync($"/api/tenants/{ann.Tenant}/members", bob.Access));
        var items = members.GetProperty("items");

        Assert.Equal(
            [(ann.Email, "owner"), (bob.Email, "viewer")],
            items.EnumerateArray().Select(item => (item.GetProperty("email").GetString(), item.GetProperty("role").GetString())));
    }

    [Fact]
    public async Task Members_OfAForeignTenant_Are404WhateverIsAsked()
    {
        var (ann, bob) = (await _api.EnterAsync(), await _api.EnterAsync());
        var path = $"/api/tenants/{bob.Tenant}";

        foreach (var (method, route, body) in new (HttpMethod, string, object?)[]
        {
            (HttpMethod.Get, "/members", null),
            (HttpMethod.Patch, $"/members/{bob.User}", new { role = "viewer" }),
            (HttpMethod.Delete, $"/members/{bob.User}", null),
            (HttpMethod.Get, "/invitations", null),
            (HttpMethod.Post, "/invitations", new { email = "eve@example.com" }),
            (HttpMethod.Delete, $"/invitations/{Guid.NewGuid()}", null),
        })
        {
            await ApiHost.ProblemAsync(await _api.SendAsync(method, path + route, body, ann.Access), 404);
        }

        // Nor by a foreign id under the own tenant.
        await ApiHost.ProblemAsync(await ChangeAsync(ann, bob.User, "viewer"), 404);
        await ApiHost.ProblemAsync(await RemoveAsync(ann, bob.User), 404);
    }

    [Theory]
    [InlineData("viewer")]
    [InlineData("member")]
    public async Task Members_WithoutTheRole_ManageNobody(string role)
    {
        var (ann, bob) = await PairAsync(role);

        await ApiHost.ProblemAsync(await ChangeAsync(bob, bob.User, "owner"), 403);
        await ApiHost.ProblemAsync(await RemoveAsync(bob, ann.User), 403);
        await ApiHost.ProblemAsync(await InviteAsync(bob, "eve@example.com", "viewer"), 403);
        await ApiHost.ProblemAsync(await _api.GetAsync($"/api/tenants/{bob.Tenant}/invitations", bob.Access), 403);
    }

    [Fact]
    public async Task Admin_ManagesAllButOwners()
    {
        var (ann, bob) = await PairAsync("admin");

        await ApiHost.ProblemAsync(await ChangeAsync(bob, ann.User, "viewer"), 403);
        await ApiHost.ProblemAsync(await RemoveAsync(bob, ann.User), 403);
        await ApiHost.ProblemAsync(await ChangeAsync(bob, bob.User, "owner"), 403);
        await ApiHost.ProblemAsync(await InviteAsync(bob, "eve@example.com", "owner"), 403);
        Assert.Equal(HttpStatusCode.Created, (await InviteAsync(bob, "eve@example.com", "admin")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await ChangeAsync(bob, bob.User, "member")).StatusCode);
    }

    [Fact]
    public async Task LastOwner_CannotLeaveNorBeDemoted()
    {
        var (ann, bob) = await PairAsync("admin");

        await ApiHost.ProblemAsync(await RemoveAsync(ann, ann.User), 409);
        await ApiHost.ProblemAsync(await ChangeAsync(ann, ann.User, "admin"), 409);

        Assert.Equal(HttpStatusCode.OK, (await ChangeAsync(ann, bob.User, "owner")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await RemoveAsync(ann, ann.User)).StatusCode);
    }

    [Fact]
    public async Task TwoOwners_UnmakeEachOtherAtTheSameMoment_OneIsLeft()
    {
        for (var round = 0; round < 3; round++)
        {
            var (ann, bob) = await PairAsync("owner");

            await Task.WhenAll(ChangeAsync(ann, bob.User, "viewer"), ChangeAsync(bob, ann.User, "viewer"));

            Assert.Equal(1, await fixture.Database.ScalarAsync<long>(
                $"SELECT count(*) FROM memberships WHERE tenant_id = '{ann.Tenant}' AND role = 'owner'"));
        }
    }

    [Fact]
    public async Task RemovedMember_IsRefusedAtOnce()
    {
        var (ann, bob) = await PairAsync("member");
        var path = $"/api/tenants/{ann.Tenant}/members";
        Assert.Equal(HttpStatusCode.OK, (await _api.GetAsync(path, bob.Access)).StatusCode);

        await RemoveAsync(ann, bob.User);

        await ApiHost.ProblemAsync(await _api.GetAsync(path, bob.Access), 401);
    }

    /// <summary>
    /// Whoever is removed comes back by no invitation of their own; whoever is demoted has given no more than they still may.
    /// </summary>
    [Theory]
    [InlineData(null, "viewer", 404)]
    [InlineData("member", "viewer", 404)]
    [InlineData("admin", "owner", 404)]
    [InlineData("admin", "member", 200)]
    public async Task Invitation_ByWhoLosesTheirRole_HoldsAsFarAsTheyStillMayInvite(string? newRole, string invited, int status)
    {
        var (ann, bob) = await PairAsync("owner");
        var friend = await _api.EnterAsync();
        var token = await TokenAsync(await InviteAsync(bob, friend.Email, invited));
        var made = await AccountsApi.DataAsync(
            await _api.PostAsync("/api/keys", new { name = "k", scopes = (string[])["tenant"] }, bob.Access));
        var key = made.GetProperty("key").GetString();
        var other = await _api.EnterAsync();
        var byKey = await TokenAsync(
            await _api.PostAsync($"/api/tenants/{bob.Tenant}/invitations", new { email = other.Email, role = invited }, key));

        var changed = await (newRole is null ? RemoveAsync(ann, bob.User) : ChangeAsync(ann, bob.User, newRole));
        Assert.Equal(HttpStatusCode.OK, changed.StatusCode);

        Assert.Equal(status, (int)(await AcceptAsync(friend, token)).StatusCode);
        Assert.Equal(status, (int)(await AcceptAsync(other, byKey)).StatusCode);
    }

    [Fact]
    public async Task Invitation_Accepted_MakesAMember()
    {
        var (ann, bob) = (await _api.EnterAsync(), await _api.EnterAsync());
        var token = await TokenAsync(await InviteAsync(ann, bob.Email.ToUpperInvariant(), "viewer"));

        var tenant = await AccountsApi.DataAsync(await AcceptAsync(bob, token));

        Assert.Equal((ann.Tenant, "viewer"), (tenant.GetProperty("id").GetGuid(), tenant.GetProperty("role").GetString()));
        Assert.Equal(ann.Tenant, (await _api.RefreshAsync(bob, ann.Tenant)).Tenant);
        // Once.
        await ApiHost.ProblemAsync(await AcceptAsync(bob, token), 404);
        var open = await AccountsApi.DataAsync(await _api.GetAsync($"/api/tenants/{ann.Tenant}/invitations", ann.Access));
        Assert.Equal(0, open.GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task Invitation_OfSomebodyElse_Is404()
    {
        var (ann, bob, eve) = (await _api.EnterAsync(), await _api.EnterAsync(), await _api.EnterAsync());
        var token = await TokenAsync(await InviteAsync(ann, bob.Email, "member"));

        await ApiHost.ProblemAsync(await AcceptAsync(eve, token), 404);

        Assert.Equal(HttpStatusCode.OK, (await AcceptAsync(bob, token)).StatusCode);
    }

    [Fact]
    public async Task Invitation_RevokedOrExpired_Is404()
    {
        var (ann, bob) = (await _api.EnterAsync(), await _api.EnterAsync());
        var revoked = await AccountsApi.DataAsync(await InviteAsync(ann, bob.Email, "member"));
        var expired = await AccountsApi.DataAsync(await InviteAsync(ann, bob.Email, "member"));
        var id = revoked.GetProperty("invitation").GetProperty("id").GetString();

        await AccountsApi.DataAsync(
            await _api.SendAsync(HttpMethod.Delete, $"/api/tenants/{ann.Tenant}/invitations/{id}", bearer: ann.Access));
        await MigratedDatabase.ExecuteAsync(
            fixture.Database.Admin,
            $"UPDATE invitations SET expires_at = now() WHERE id = '{expired.GetProperty("invitation").GetProperty("id").GetString()}'");

        await ApiHost.ProblemAsync(await AcceptAsync(bob, revoked.GetProperty("token").GetString()!), 404);
        await ApiHost.ProblemAsync(await AcceptAsync(bob, expired.GetProperty("token").GetString()!), 404);
        await ApiHost.ProblemAsync(
            await _api.SendAsync(HttpMethod.Delete, $"/api/tenants/{ann.Tenant}/invitations/{id}", bearer: ann.Access),
            404);
    }

    [Fact]
    public async Task Invitation_OfAMember_LeavesTheRoleAsItIs()
    {
        var (ann, bob) = await PairAsync("viewer");
        var token = await TokenAsync(await InviteAsync(ann, bob.Email, "owner"));

        var tenant = await AccountsApi.DataAsync(await AcceptAsync(bob, token));

        Assert.Equal("viewer", tenant.GetProperty("role").GetString());
    }

    [Fact]
    public async Task Database_HoldsNoInvitationToken()
    {
        var ann = await _api.EnterAsync();
        var token = await TokenAsync(await InviteAsync(ann, "eve@example.com", "member"));

        Assert.Equal(
            0,
            await fixture.Database.ScalarAsync<long>($"SELECT count(*) FROM invitations i WHERE i::text LIKE '%{token[4..20]}%'"));
    }

    private Task<HttpResponseMessage> ChangeAsync(SignedIn by, Guid user, string role) =>
        _api.SendAsync(HttpMethod.Patch, $"/api/tenants/{by.Tenant}/members/{user}", new { role }, by.Access);

    private Task<HttpResponseMessage> RemoveAsync(SignedIn by, Guid user) =>
        _api.SendAsync(HttpMethod.Delete, $"/api/tenants/{by.Tenant}/members/{user}", bearer: by.Access);

    private Task<HttpResponseMessage> InviteAsync(SignedIn by, string email, string role) =>
        _api.PostAsync($"/api/tenants/{by.Tenant}/invitations", new { email, role }, by.Access);

    private Task<HttpResponseMessage> AcceptAsync(SignedIn by, string token) =>
        _api.PostAsync("/api/invitations/accept", new { token }, by.Access);

    private static async Task<string> TokenAsync(HttpResponseMessage invited) =>
        (await AccountsApi.DataAsync(invited)).GetProperty("token").GetString()!;

    /// <summary>An owner, and somebody with this role, who works in the owner's tenant.</summary>
    private async Task<(SignedIn Owner, SignedIn Other)> PairAsync(string role)
    {
        var (ann, bob) = (await _api.EnterAsync(), await _api.EnterAsync());
        var accepted = await AcceptAsync(bob, await TokenAsync(await InviteAsync(ann, bob.Email, role)));
        Assert.Equal(HttpStatusCode.OK, accepted.StatusCode);
        return (ann, await _api.RefreshAsync(bob, ann.Tenant));
    }
}
