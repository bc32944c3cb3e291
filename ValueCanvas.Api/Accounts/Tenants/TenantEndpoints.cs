using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Accounts.Tenants;

internal static class TenantEndpoints
{
    // Each is cheap, but nobody needs more, and a list has to end.
    private const int MaxPerUser = 50;

    public static RouteGroupBuilder MapTenantEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Tenants");
        group.MapGet("", ListAsync)
            .RequireUser()
            .WithSummary("The tenants that the user belongs to")
            .Produces<Envelope<TenantList>>();
        group.MapPost("", CreateAsync)
            .RequireUser()
            .WithSummary("A new tenant, which the user owns")
            .Produces<Envelope<TenantView>>(StatusCodes.Status201Created)
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status409Conflict);
        group.MapGroup("/{tenantId}/members").MapMemberEndpoints();
        group.MapGroup("/{tenantId}/invitations").MapInvitationEndpoints();
        return group;
    }

    private static async Task<IResult> ListAsync(Caller caller, AccountDatabase database, CancellationToken cancellationToken)
    {
        var rows = await database.ExecuteAsync(new ActingFor(User: caller.UserId), Memberships.ListAsync, cancellationToken);
        return TypedResults.Ok(Envelope.Of(new TenantList([.. rows.Select(row => new TenantView(row.TenantId, row.Name, row.Role))])));
    }

    private static async Task<IResult> CreateAsync(
        JsonBody<TenantBody> body,
        Caller caller,
        AccountDatabase database,
        AuditLog audit,
        TimeProvider time,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        var (id, name) = (Guid.CreateVersion7(time.GetUtcNow()), body.Value.Name!);
        await database.ExecuteAsync(
            new ActingFor(caller.UserId, id),
            async (work, ct) =>
            {
                if ((await Memberships.ListAsync(work, ct)).Count >= MaxPerUser)
                {
                    throw new RequestException(StatusCodes.Status409Conflict, $"You belong to {MaxPerUser} tenants already.")
                    {
                        Code = "too_many_tenants",
                    };
                }

                await work.Db.Database.ExecuteSqlAsync(
                    $"""
                     INSERT INTO tenants (id, name) VALUES ({id}, {name});
                     INSERT INTO memberships (tenant_id, user_id, role) VALUES ({id}, {caller.UserId}, 'owner');
                     """,
                    ct);
                await audit.WriteAsync(work.Db, context, new("tenant.created") { Tenant = id, Subject = new("tenant", id) }, ct);
                return true;
            },
            cancellationToken);
        return TypedResults.Created((string?)null, Envelope.Of(new TenantView(id, name, Role.Owner.ToWireName())));
    }
}
