namespace ValueCanvas.Api.Accounts.Tenants;

/// <param name="Id">For <c>tenantId</c> at the sign-in and the refresh.</param>
/// <param name="Name">What people call it.</param>
/// <param name="Role">The caller's in it.</param>
internal sealed record TenantView(Guid Id, string Name, string Role);

internal sealed record TenantList(IReadOnlyList<TenantView> Items);

/// <param name="UserId">For changing the role and for removing.</param>
/// <param name="Email">The member's.</param>
/// <param name="Name">What the member calls itself.</param>
/// <param name="Role"><c>viewer</c>, <c>member</c>, <c>admin</c> or <c>owner</c>.</param>
/// <param name="JoinedAt">Since when.</param>
internal sealed record MemberView(Guid UserId, string Email, string? Name, string Role, DateTimeOffset JoinedAt);

internal sealed record MemberList(IReadOnlyList<MemberView> Items);

/// <param name="UserId">Whose role it is.</param>
/// <param name="Role">The role now; null where the user is no member any more.</param>
internal sealed record MemberChange(Guid UserId, string? Role);

/// <param name="Id">For revoking it.</param>
/// <param name="Email">Whom it is for.</param>
/// <param name="Role">What whoever accepts becomes.</param>
/// <param name="CreatedAt">When it was made.</param>
/// <param name="ExpiresAt">Until when it can be accepted.</param>
internal sealed record InvitationView(Guid Id, string Email, string Role, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt);

internal sealed record InvitationList(IReadOnlyList<InvitationView> Items);

/// <param name="Invitation">The invitation.</param>
/// <param name="Token">Shown only now; whoever is invited sends it to <c>POST /api/invitations/accept</c>.</param>
internal sealed record NewInvitation(InvitationView Invitation, string Token);

/// <param name="Id">The invitation.</param>
/// <param name="Revoked">Always true.</param>
internal sealed record RevokedInvitation(Guid Id, bool Revoked);
