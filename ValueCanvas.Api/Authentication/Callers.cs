using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Authentication;

/// <summary>Whom a credential stands for, whatever its kind. What was seen before costs no question to anybody.</summary>
internal sealed class Callers(ApiKeyLookups keys, AccessTokens tokens)
{
    /// <summary>From memory, at once; null where it must be looked up.</summary>
    public Caller? FindKnown(Credential credential) =>
        credential.Kind == CredentialKind.ApiKey
            ? keys.FindKnown(credential.Text)
            : tokens.FindKnown(credential.Text) is { } token ? Of(token, credential.Kind) : null;

    /// <summary>Null for a credential that does not hold, whatever is wrong with it.</summary>
    public ValueTask<Caller?> FindAsync(Credential credential, CancellationToken cancellationToken) =>
        credential.Kind == CredentialKind.ApiKey
            ? keys.FindAsync(credential.Text, cancellationToken)
            : FindByTokenAsync(credential, cancellationToken);

    private async ValueTask<Caller?> FindByTokenAsync(Credential credential, CancellationToken cancellationToken) =>
        await tokens.ValidateAsync(credential.Text, cancellationToken) is { } token ? Of(token, credential.Kind) : null;

    private static Caller Of(AccessToken token, CredentialKind kind) => new(token.TenantId, token.Role, kind)
    {
        UserId = token.UserId,
        HolderId = token.UserId,
        SessionId = token.SessionId,
        IsOperator = token.IsOperator,
        MustChangePassword = token.MustChangePassword,
    };
}
