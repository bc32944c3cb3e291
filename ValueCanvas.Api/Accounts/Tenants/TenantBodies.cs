using System.Text.Json.Serialization;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.Accounts.Tenants;

/// <summary>Body of <c>POST /api/tenants</c>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record TenantBody(string? Name) : IRequestBody
{
    public void Validate(RequestErrors errors) => PlainName.Validate("name", Name, required: true, errors);
}

/// <summary>Body of <c>PATCH /api/tenants/{tenantId}/members/{userId}</c>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RoleBody(string? Role) : IRequestBody
{
    public void Validate(RequestErrors errors) => RoleField.Validate(Role, errors);
}

/// <summary>Body of <c>POST /api/tenants/{tenantId}/invitations</c>.</summary>
/// <param name="Email">Only an account with this address can accept.</param>
/// <param name="Role">What whoever accepts becomes; default <c>member</c>.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record InvitationBody(string? Email, string? Role) : IRequestBody
{
    public void Validate(RequestErrors errors)
    {
        EmailAddress.Validate("email", Email, errors);
        if (Role is not null)
            RoleField.Validate(Role, errors);
    }
}

/// <summary>Body of <c>POST /api/invitations/accept</c>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record AcceptBody(string? Token) : IRequestBody
{
    public void Validate(RequestErrors errors)
    {
        if (string.IsNullOrEmpty(Token))
            errors.Add("token", "is required");
    }
}

internal static class RoleField
{
    public static void Validate(string? role, RequestErrors errors)
    {
        if (role is null)
            errors.Add("role", "is required");
        else if (!Roles.TryParse(role, out _))
            errors.Add("role", "must be one of: viewer, member, admin, owner");
    }
}
