using Microsoft.AspNetCore.Identity;

namespace ValueCanvas.Api.Accounts.Users;

/// <summary>A person. Which tenants it belongs to is told by memberships; the e-mail address is the name to sign in with.</summary>
internal sealed class User : IdentityUser<Guid>
{
    public string? DisplayName { get; set; }

    /// <summary>Operates the installation. Only the database makes one.</summary>
    public bool IsOperator { get; private set; }

    /// <summary>From when on nobody signs in as this user.</summary>
    public DateTimeOffset? DisabledAt { get; private set; }

    public DateTimeOffset CreatedAt { get; private set; }

    /// <summary>A user of that address; the caller has checked it.</summary>
    public static User Create(Guid id, string email, string? displayName, string? passwordHash, bool emailConfirmed) => new()
    {
        Id = id,
        UserName = email,
        Email = email,
        DisplayName = displayName,
        PasswordHash = passwordHash,
        EmailConfirmed = emailConfirmed,
    };
}
