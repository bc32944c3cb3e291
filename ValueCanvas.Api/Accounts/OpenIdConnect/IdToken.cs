using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Accounts.OpenIdConnect;

/// <summary>Who somebody is at a provider.</summary>
internal sealed record Identity(string Provider, string Subject, string? VerifiedEmail, string? Name);

/// <summary>OpenID Connect Core 1.0, 3.1.3.7: the checks of an ID token, all of them.</summary>
internal sealed class IdTokens(TimeProvider time)
{
    private const int MaxSubjectLength = 255;
    private const int MaxNameLength = 100;
    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan MaxAge = TimeSpan.FromMinutes(15);

    /// <summary>Null for a token that does not hold; <paramref name="nonce"/> is what this sign-in sent.</summary>
    public async Task<Identity?> ValidateAsync(Provider provider, string text, string nonce, CancellationToken cancellationToken)
    {
        // 1. The provider's signature, by an algorithm that its key is for. An access token is no ID token.
        var metadata = await provider.MetadataAsync(cancellationToken);
        if (!CompactJws.TryParse(text, out var jws) || jws.Type is not (null or "JWT" or "jwt")
            || !await provider.VerifyAsync(jws, cancellationToken))
        {
            return null;
        }

        // 2. From this provider, for us alone, now, and for this sign-in.
        var claims = new Claims(jws.Payload);
        var now = time.GetUtcNow();
        var audiences = claims.Texts("aud");
        var party = claims.Text("azp");
        if (claims.Text("iss") != metadata.Issuer
            || !audiences.Contains(provider.Options.ClientId)
            || (audiences.Count > 1 && party is null)
            || (party is not null && party != provider.Options.ClientId)
            || claims.Time("exp") is not { } expires || expires + Skew <= now
            || claims.Time("iat") is not { } issued || issued - Skew > now || issued + MaxAge < now
            || (claims.Time("nbf") is { } notBefore && notBefore - Skew > now)
            || claims.Text("nonce") != nonce
            || claims.Text("sub") is not { Length: > 0 and <= MaxSubjectLength } subject
            || subject.Contains('\0', StringComparison.Ordinal))
        {
            return null;
        }

        var name = claims.Text("name")?.Trim();
        return new Identity(
            provider.Name,
            subject,
            claims.Is("email_verified") ? claims.Text("email") : null,
            name is { Length: > 0 and <= MaxNameLength } && !name.Any(char.IsControl) ? name : null);
    }
}
