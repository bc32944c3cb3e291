using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Accounts.Tenants;

/// <summary>Who belongs to a tenant, and as what.</summary>
internal sealed class MemberStore(AccountDatabase database, AuditLog audit)
{
    public Task<List<MemberView>> ListAsync(Guid tenantId, CancellationToken cancellationToken) => database.ExecuteAsync(
        new ActingFor(Tenant: tenantId),
        (work, ct) => work.Db.Database
            .SqlQuery<MemberView>(
                $"""
                 SELECT m.user_id AS "UserId", u.email AS "Email", u.display_name AS "Name", m.role AS "Role", m.created_at AS "JoinedAt"
                 FROM memberships m JOIN users u ON u.id = m.user_id
                 WHERE m.tenant_id = {tenantId}
                 ORDER BY m.created_at, m.user_id
                 LIMIT 1000
                 """)
            .ToListAsync(ct),
        cancellationToken);

    /// <summary>Gives a member of the caller's tenant another role, or none.</summary>
    /// <exception cref="RequestException">404, 403 where it takes an owner, 409 for the last owner.</exception>
    public Task ChangeAsync(Caller caller, Guid userId, Role? role, HttpContext context, CancellationToken cancellationToken) =>
        database.ExecuteAsync(
            new ActingFor(Tenant: caller.TenantId),
            async (work, ct) =>
            {
                // 1. The owners and this member, locked: two owners must not unmake each other at the same moment.
                var rows = await work.Db.Database
                    .SqlQuery<LockedRow>(
                        $"""
                         SELECT user_id AS "UserId", role AS "Role" FROM memberships
                         WHERE tenant_id = {caller.TenantId} AND (role = 'owner' OR user_id = {userId} OR user_id = {caller.HolderId})
                         ORDER BY user_id
                         FOR UPDATE
                         """)
                    .ToListAsync(ct);
                var member = rows.Find(row => row.UserId == userId)
                    ?? throw RequestException.NotFound("There is no member with this id in the tenant.");

                // 2. May the caller? Its role is looked at again, since it may have changed a moment ago.
                var isOwner = rows.Find(row => row.UserId == caller.HolderId)?.Role == "owner";
                if ((member.Role == "owner" || role == Role.Owner) && !isOwner)
                    throw Refusals.Role(Role.Owner);
                if (member.Role == "owner" && role != Role.Owner && rows.Count(row => row.Role == "owner") == 1)
                {
                    throw new RequestException(StatusCodes.Status409Conflict, "A tenant always has an owner. Make somebody else one first.")
                    {
                        Code = "last_owner",
                    };
                }

                // 3. Do it; and what they may not give any more they shall not have given: an invitation would bring them back.
                await RevokeInvitationsAsync(work, caller.TenantId, userId, role, ct);
                await (role is { } wanted
                    ? work.Db.Database.ExecuteSqlAsync(
                        $"""
                         UPDATE memberships SET role = {wanted.ToWireName()}
                         WHERE tenant_id = {caller.TenantId} AND user_id = {userId}
                         """,
                        ct)
                    : work.Db.Database.ExecuteSqlAsync(
                        $"DELETE FROM memberships WHERE tenant_id = {caller.TenantId} AND user_id = {userId}", ct));
                await audit.WriteAsync(
                    work.Db,
                    context,
                    new(role is null ? "member.removed" : "member.role_changed")
                    {
                        Subject = new("user", userId),
                        Details = [("from", member.Role), ("to", role?.ToWireName())],
                    },
                    ct);
                return true;
            },
            cancellationToken);

    private static Task<int> RevokeInvitationsAsync(
        AccountWork work, Guid tenantId, Guid by, Role? role, CancellationToken cancellationToken)
    {
        var stillTheirs = role >= Role.Admin ? Enum.GetValues<Role>().Where(given => given <= role) : [];
        var names = stillTheirs.Select(given => given.ToWireName()).ToArray();
        return work.Db.Database.ExecuteSqlAsync(
            $"""
             UPDATE invitations SET revoked_at = clock_timestamp()
             WHERE tenant_id = {tenantId} AND invited_by = {by} AND accepted_at IS NULL AND revoked_at IS NULL AND role <> ALL ({names})
             """,
            cancellationToken);
    }

    private sealed record LockedRow(Guid UserId, string Role);
}
