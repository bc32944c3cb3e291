using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Accounts.Tenants;

internal static class InvitationEndpoints
{
    private const int MaxOpen = 500;

    public static void MapInvitationEndpoints(this RouteGroupBuilder group)
    {
        group.RequireScope(Scopes.Tenant).RequireRole(Role.Admin);
        group.MapGet("", ListAsync)
            .WithSummary("The open invitations of the tenant")
            .Produces<Envelope<InvitationList>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        group.MapPost("", CreateAsync)
            .WithSummary("Invite somebody; the token is shown only in this answer")
            .Produces<Envelope<NewInvitation>>(StatusCodes.Status201Created)
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status403Forbidden);
        group.MapDelete("/{id}", RevokeAsync)
            .WithSummary("Revoke an invitation")
            .Produces<Envelope<RevokedInvitation>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
    }

    /// <summary>The other end, which works in no tenant yet.</summary>
    public static RouteGroupBuilder MapInvitationAcceptance(this RouteGroupBuilder group)
    {
        group.WithTags("Tenants");
        group.MapPost("/accept", AcceptAsync)
            .RequireUser()
            .WithSummary("Accept an invitation; POST /api/auth/refresh with the tenant's id then goes on there")
            .Produces<Envelope<TenantView>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
        return group;
    }

    private static async Task<IResult> ListAsync(
        string tenantId, Caller caller, AccountDatabase database, CancellationToken cancellationToken)
    {
        TenantPath.Check(tenantId, caller);
        var rows = await database.ExecuteAsync(
            new ActingFor(Tenant: caller.TenantId), (work, ct) => OpenAsync(work, caller.TenantId, ct), cancellationToken);
        return TypedResults.Ok(Envelope.Of(new InvitationList(rows)));
    }

    private static async Task<IResult> CreateAsync(
        string tenantId,
        JsonBody<InvitationBody> body,
        Caller caller,
        AccountDatabase database,
        IOptions<AccountSessionOptions> options,
        AuditLog audit,
        TimeProvider time,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        TenantPath.Check(tenantId, caller);
        var (email, role) = (body.Value.Email!, Roles.Parse(body.Value.Role ?? "member"));
        var (id, token, now) = (Guid.CreateVersion7(time.GetUtcNow()), OpaqueToken.Create(), time.GetUtcNow());
        var expires = now + options.Value.Invitation;
        await database.ExecuteAsync(
            new ActingFor(Tenant: caller.TenantId),
            async (work, ct) =>
            {
                // Locked against a change of the role at this moment, which revokes what was given before.
                var standing = await work.Db.Database
                    .SqlQuery<string>(
                        $"""
                         SELECT role AS "Value" FROM memberships
                         WHERE tenant_id = {caller.TenantId} AND user_id = {caller.HolderId}
                         FOR SHARE
                         """)
                    .ToListAsync(ct);
                if (standing is not [{ } mine] || Roles.Parse(mine) < Role.Admin || Roles.Parse(mine) < role)
                    throw Refusals.Role(role > Role.Admin ? role : Role.Admin);
                if ((await OpenAsync(work, caller.TenantId, ct)).Count >= MaxOpen)
                {
                    throw new RequestException(StatusCodes.Status409Conflict, $"There are {MaxOpen} open invitations. Revoke some.")
                    {
                        Code = "too_many_invitations",
                    };
                }

                await work.Db.Database.ExecuteSqlAsync(
                    $"""
                     INSERT INTO invitations (id, tenant_id, email, normalized_email, role, token_hash, invited_by, created_at, expires_at)
                     VALUES ({id}, {caller.TenantId}, {email}, {EmailAddress.Normalize(email)}, {role.ToWireName()}, {token.Hash},
                             {caller.HolderId}, {now}, {expires})
                     """,
                    ct);
                await audit.WriteAsync(
                    work.Db,
                    context,
                    new("invitation.created") { Subject = new("invitation", id), Details = [("role", role.ToWireName())] },
                    ct);
                return true;
            },
            cancellationToken);
        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created((string?)null, Envelope.Of(new NewInvitation(
            new InvitationView(id, email, role.ToWireName(), now, expires), token.ToText(OpaqueToken.Invitation))));
    }

    private static async Task<IResult> RevokeAsync(
        string tenantId, string id, Caller caller, AccountDatabase database, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        TenantPath.Check(tenantId, caller);
        var invitation = TenantPath.Id(id, "open invitation");
        await database.ExecuteAsync(
            new ActingFor(Tenant: caller.TenantId),
            async (work, ct) =>
            {
                var revoked = await work.Db.Database.ExecuteSqlAsync(
                    $"""
                     UPDATE invitations SET revoked_at = clock_timestamp()
                     WHERE id = {invitation} AND tenant_id = {caller.TenantId} AND accepted_at IS NULL AND revoked_at IS NULL
                     """,
                    ct);
                if (revoked == 0)
                    throw RequestException.NotFound("There is no open invitation with this id in the tenant.");
                await audit.WriteAsync(work.Db, context, new("invitation.revoked") { Subject = new("invitation", invitation) }, ct);
                return true;
            },
            cancellationToken);
        return TypedResults.Ok(Envelope.Of(new RevokedInvitation(invitation, true)));
    }

    private static async Task<IResult> AcceptAsync(
        JsonBody<AcceptBody> body, Caller caller, AccountDatabase database, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var tenants = OpaqueToken.TryParse(OpaqueToken.Invitation, body.Value.Token, out var token)
            ? await database.ExecuteAsync(
                new ActingFor(User: caller.UserId),
                (work, ct) => work.Db.Database
                    .SqlQuery<AcceptedRow>(
                        $"SELECT tenant_id AS \"Id\", name AS \"Name\", role AS \"Role\" FROM accept_invitation({token.Hash})")
                    .ToListAsync(ct),
                cancellationToken)
            : [];
        if (tenants is not [var tenant])
        {
            audit.Record(context, new("invitation.accepted", AuditOutcome.Denied));
            throw RequestException.NotFound(
                "There is no such invitation for your e-mail address: it is mistyped, was used, revoked or has expired.");
        }

        audit.Record(context, new("invitation.accepted") { Tenant = tenant.Id, Details = [("role", tenant.Role)] });
        return TypedResults.Ok(Envelope.Of(new TenantView(tenant.Id, tenant.Name, tenant.Role)));
    }

    private static Task<List<InvitationView>> OpenAsync(
        AccountWork work, Guid tenantId, CancellationToken cancellationToken) => work.Db.Database
        .SqlQuery<InvitationView>(
            $"""
             SELECT id AS "Id", email AS "Email", role AS "Role", created_at AS "CreatedAt", expires_at AS "ExpiresAt"
             FROM invitations
             WHERE tenant_id = {tenantId} AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > clock_timestamp()
             ORDER BY created_at DESC, id DESC
             LIMIT {MaxOpen}
             """)
        .ToListAsync(cancellationToken);

    private sealed record AcceptedRow(Guid Id, string Name, string Role);
}
