using Microsoft.Extensions.Options;
using ValueCanvas.Api.Accounts.Tokens;

namespace ValueCanvas.Api.Accounts.Sessions;

/// <summary>
/// A browser's session: the same two tokens in cookies that no script can read and no other site can send. The access token goes to every
/// path, the refresh token only to where it is used.
/// </summary>
internal sealed class SessionCookies(IOptions<AccountSessionOptions> sessions, IOptions<TokenOptions> tokens)
{
    /// <summary>The prefix has browsers take it only over HTTPS, for this host alone.</summary>
    public const string Access = "__Host-vc-access";

    public const string Refresh = "__Secure-vc-refresh";

    private const string RefreshPath = "/api/auth";

    /// <summary>The access token that a browser brings.</summary>
    public static string? ReadAccess(HttpRequest request) => request.Cookies[Access];

    public static string? ReadRefresh(HttpRequest request) => request.Cookies[Refresh];

    public void Set(HttpResponse response, string accessToken, string refreshToken)
    {
        response.Cookies.Append(Access, accessToken, Options("/", tokens.Value.Lifetime));
        response.Cookies.Append(Refresh, refreshToken, Options(RefreshPath, sessions.Value.Idle));
    }

    public static void Clear(HttpResponse response)
    {
        response.Cookies.Delete(Access, Options("/", null));
        response.Cookies.Delete(Refresh, Options(RefreshPath, null));
    }

    private static CookieOptions Options(string path, TimeSpan? maxAge) => new()
    {
        HttpOnly = true,
        Secure = true,
        SameSite = SameSiteMode.Strict,
        Path = path,
        MaxAge = maxAge,
    };
}
