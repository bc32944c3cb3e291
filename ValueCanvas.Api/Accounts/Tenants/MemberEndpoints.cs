using ValueCanvas.Api.Accounts.Passwords;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Accounts.Tenants;

internal static class MemberEndpoints
{
    public static void MapMemberEndpoints(this RouteGroupBuilder group)
    {
        group.RequireScope(Scopes.Tenant);
        group.MapGet("", ListAsync)
            .WithSummary("The members of the tenant")
            .Produces<Envelope<MemberList>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPatch("/{userId}", ChangeAsync)
            .RequireRole(Role.Admin)
            .WithSummary("Give a member another role; only owners make and unmake owners")
            .Produces<Envelope<MemberChange>>()
            .ProducesProblems(StatusCodes.Status403Forbidden, StatusCodes.Status404NotFound, StatusCodes.Status409Conflict);
        group.MapDelete("/{userId}", RemoveAsync)
            .WithSummary("Remove a member, or leave; the last owner cannot")
            .Produces<Envelope<MemberChange>>()
            .ProducesProblems(StatusCodes.Status403Forbidden, StatusCodes.Status404NotFound, StatusCodes.Status409Conflict);
        group.MapMemberPasswordReset();
    }

    private static async Task<IResult> ListAsync(string tenantId, Caller caller, MemberStore members, CancellationToken cancellationToken)
    {
        TenantPath.Check(tenantId, caller);
        var rows = await members.ListAsync(caller.TenantId, cancellationToken);
        return TypedResults.Ok(Envelope.Of(new MemberList([.. rows])));
    }

    private static async Task<IResult> ChangeAsync(
        string tenantId,
        string userId,
        JsonBody<RoleBody> body,
        Caller caller,
        MemberStore members,
        AccessTokens tokens,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        TenantPath.Check(tenantId, caller);
        var (user, role) = (TenantPath.Id(userId, "member"), Roles.Parse(body.Value.Role!));
        await members.ChangeAsync(caller, user, role, context, cancellationToken);
        tokens.Forget(token => token.UserId == user && token.TenantId == caller.TenantId);
        return TypedResults.Ok(Envelope.Of(new MemberChange(user, role.ToWireName())));
    }

    private static async Task<IResult> RemoveAsync(
        string tenantId,
        string userId,
        Caller caller,
        MemberStore members,
        AccessTokens tokens,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        TenantPath.Check(tenantId, caller);
        var user = TenantPath.Id(userId, "member");
        // Everybody may leave; others are removed by admins.
        if (user != caller.UserId && caller.Role < Role.Admin)
            throw Refusals.Role(Role.Admin);
        await members.ChangeAsync(caller, user, null, context, cancellationToken);
        tokens.Forget(token => token.UserId == user && token.TenantId == caller.TenantId);
        return TypedResults.Ok(Envelope.Of(new MemberChange(user, null)));
    }
}
