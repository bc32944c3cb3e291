namespace ValueCanvas.Api.Accounts.Tokens;

/// <summary>What an access token that holds says: who, in which tenant and session, and what they may there now.</summary>
internal sealed record AccessToken(Guid UserId, Guid TenantId, Guid SessionId, Role Role, bool IsOperator, DateTimeOffset ExpiresAt)
{
    /// <summary>Signed in with a one-time password, which is good for nothing but to be changed.</summary>
    public bool MustChangePassword { get; init; }
}

/// <summary>A token as it is handed out.</summary>
internal sealed record IssuedToken(string Text, TimeSpan ExpiresIn);
