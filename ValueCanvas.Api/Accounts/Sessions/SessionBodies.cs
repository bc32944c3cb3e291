using System.Text.Json.Serialization;

namespace ValueCanvas.Api.Accounts.Sessions;

/// <summary>Body of <c>POST /api/auth/refresh</c>.</summary>
/// <param name="RefreshToken">Left out by browsers, whose cookie has it.</param>
/// <param name="TenantId">To go on in another tenant.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RefreshBody(string? RefreshToken, Guid? TenantId);

/// <summary>Body of <c>POST /api/auth/logout</c>.</summary>
/// <param name="RefreshToken">Left out by browsers, and where the access token says which session ends.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record LogoutBody(string? RefreshToken);

/// <param name="Id">For <c>DELETE /api/auth/sessions/{id}</c>.</param>
/// <param name="Current">The session that asks.</param>
/// <param name="TenantId">The tenant that it works in.</param>
/// <param name="Client">What the client called itself at the sign-in.</param>
/// <param name="CreatedAt">The sign-in.</param>
/// <param name="LastUsedAt">The last refresh.</param>
/// <param name="ExpiresAt">When it ends at the latest.</param>
internal sealed record SessionView(
    Guid Id, bool Current, Guid TenantId, string? Client, DateTimeOffset CreatedAt, DateTimeOffset LastUsedAt, DateTimeOffset ExpiresAt);

internal sealed record SessionList(IReadOnlyList<SessionView> Items);

/// <param name="Ended">How many.</param>
internal sealed record SessionsEnded(int Ended);
