using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Accounts.Tenants;

/// <summary>The tenants that a user belongs to.</summary>
internal static class Memberships
{
    /// <summary>Those of the user for whom the transaction acts, the oldest first.</summary>
    public static Task<List<MembershipRow>> ListAsync(AccountWork work, CancellationToken cancellationToken) => work.Db.Database
        .SqlQuery<MembershipRow>(
            $"""
             SELECT tenant_id AS "TenantId", name AS "Name", role AS "Role", created_at AS "CreatedAt" FROM memberships_of_caller()
             """)
        .ToListAsync(cancellationToken);

    /// <summary>The wanted tenant, or the one that the user has belonged to longest.</summary>
    /// <exception cref="RequestException">403: not a member of it, or of any.</exception>
    public static async Task<Guid> ChooseAsync(AccountWork work, Guid? wanted, CancellationToken cancellationToken) =>
        (await ListAsync(work, cancellationToken)).Find(row => wanted is null || row.TenantId == wanted)?.TenantId
            ?? throw NoTenant(wanted);

    public static RequestException NoTenant(Guid? wanted) => new(
        StatusCodes.Status403Forbidden,
        wanted is null ? "You belong to no tenant any more. Ask to be invited." : "You do not belong to this tenant.")
    {
        Code = "not_a_member",
    };
}

internal sealed record MembershipRow(Guid TenantId, string Name, string Role, DateTimeOffset CreatedAt);
