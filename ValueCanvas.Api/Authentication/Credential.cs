using ValueCanvas.Api.Accounts.Sessions;

namespace ValueCanvas.Api.Authentication;

/// <summary>What a request brought to be recognised by.</summary>
internal readonly record struct Credential(CredentialKind Kind, string Text)
{
    private const string Bearer = "Bearer ";
    private const int MaxLength = 8 * 1024;

    /// <summary>
    /// From <c>Authorization</c>, else <c>x-api-key</c> (as Anthropic's clients send it), else the session's cookie; null where there is
    /// none of them. Never from the address, which logs and browsers keep.
    /// </summary>
    /// <returns>False: there is something, but no key or token; it is not to be looked up.</returns>
    public static bool TryRead(HttpRequest request, out Credential? credential)
    {
        credential = null;
        var authorization = request.Headers.Authorization;
        if (authorization.Count > 0)
        {
            if (authorization is not [{ Length: <= MaxLength } text] || !text.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
                return false;
            text = text[Bearer.Length..].Trim();
            credential = new(IsToken(text) ? CredentialKind.AccessToken : CredentialKind.ApiKey, text);
            return text.Length > 0;
        }

        var key = request.Headers["x-api-key"];
        if (key.Count > 0)
        {
            if (key is not [{ Length: > 0 and <= MaxLength } text])
                return false;
            credential = new(CredentialKind.ApiKey, text);
        }
        else if (SessionCookies.ReadAccess(request) is { Length: > 0 and <= MaxLength } cookie)
        {
            credential = new(CredentialKind.Session, cookie);
        }

        return true;
    }

    /// <summary>The access token, from wherever it comes; null where there is none.</summary>
    public static string? ReadToken(HttpRequest request) =>
        TryRead(request, out var credential) && credential is { Kind: not CredentialKind.ApiKey } token ? token.Text : null;

    // A JWS begins with {" in base64url; two dots set its parts apart.
    private static bool IsToken(string text) => text.StartsWith("eyJ", StringComparison.Ordinal) && text.AsSpan().Count('.') == 2;
}
