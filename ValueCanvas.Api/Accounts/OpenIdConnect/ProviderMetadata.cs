using System.Text.Json;
using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Accounts.OpenIdConnect;

/// <summary>What a provider says of itself (OpenID Connect Discovery 1.0), as far as it is used here.</summary>
internal sealed record ProviderMetadata(
    string Issuer, Uri Authorization, Uri Token, Uri Keys, bool NamesIssuer, bool TakesBasic)
{
    /// <summary>Null where it is not for this issuer, or has addresses that nobody should be sent to.</summary>
    public static ProviderMetadata? Read(JsonElement document, Uri authority)
    {
        if (document.ValueKind != JsonValueKind.Object)
            return null;
        var claims = new Claims(document);
        // Exactly, but for the slash that Uri adds to an authority without a path.
        if (claims.Text("issuer") is not { } issuer || issuer.TrimEnd('/') != authority.OriginalString.TrimEnd('/')
            || Address(claims, "authorization_endpoint") is not { } authorization
            || Address(claims, "token_endpoint") is not { } token
            || Address(claims, "jwks_uri") is not { } keys)
        {
            return null;
        }

        var methods = claims.Texts("token_endpoint_auth_methods_supported");
        return new ProviderMetadata(
            issuer,
            authorization,
            token,
            keys,
            claims.Is("authorization_response_iss_parameter_supported"),
            methods.Count == 0 || methods.Contains("client_secret_basic"));
    }

    private static Uri? Address(Claims claims, string name) =>
        Uri.TryCreate(claims.Text(name), UriKind.Absolute, out var address) && ProviderOptions.IsSafe(address) ? address : null;
}
