namespace ValueCanvas.Api.Accounts;

/// <summary>What a member may do in a tenant; each may what those before it may.</summary>
internal enum Role
{
    /// <summary>Reads.</summary>
    Viewer,

    /// <summary>Works: asks models, makes canvases and jobs.</summary>
    Member,

    /// <summary>Manages members, invitations and keys.</summary>
    Admin,

    /// <summary>Everything, also who else is an owner. A tenant always has one.</summary>
    Owner,
}

internal static class Roles
{
    /// <summary>As it stands in the database and in answers.</summary>
    public static string ToWireName(this Role role) => role switch
    {
        Role.Viewer => "viewer",
        Role.Member => "member",
        Role.Admin => "admin",
        Role.Owner => "owner",
        _ => throw new ArgumentOutOfRangeException(nameof(role)),
    };

    public static bool TryParse(string? text, out Role role)
    {
        (var known, role) = text switch
        {
            "viewer" => (true, Role.Viewer),
            "member" => (true, Role.Member),
            "admin" => (true, Role.Admin),
            "owner" => (true, Role.Owner),
            _ => (false, Role.Viewer),
        };
        return known;
    }

    /// <exception cref="FormatException">The database holds a role that this build does not know.</exception>
    public static Role Parse(string text) => TryParse(text, out var role) ? role : throw new FormatException("There is no such role.");
}
