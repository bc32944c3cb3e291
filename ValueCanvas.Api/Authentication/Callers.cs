using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Authentication;

/// <summary>Whom a credential stands for, whatever its kind. What was seen before costs no question to anybody.</summary>
internal sealed class Callers(ApiKeyLookups keys, AccessTokens tokens)
{
    /// <summary>Null for a credential that does not hold, whatever is wrong with it.</summary>
    public ValueTask<Caller?> FindAsync(Credential credential, CancellationToken cancellationToken) =>
        credential.Kind == CredentialKind.ApiKey
            ? keys.FindAsync(credential.Text, cancellationToken)
            : FindByTokenAsync(credential, cancellationToken);

    private async ValueTask<Caller?> FindByTokenAsync(Credential credential, CancellationToken cancellationToken) =>
        await tokens.ValidateAsync(credential.Text, cancellationToken) is { } token
            ? new Caller(token.TenantId, token.Role, credential.Kind)
            {
                UserId = token.UserId,
                HolderId = token.UserId,
                SessionId = token.SessionId,
                IsOperator = token.IsOperator,
                MustChangePassword = token.MustChangePassword,
            }
            : null;
}
