using Microsoft.Extensions.Options;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Protection;

/// <summary>
/// A browser sends its cookie with whatever page asks for. So a change on behalf of a session has to come from a page of this origin, or of
/// an allowed one, and carry the session's token, which only such a page can read. Whoever shows a key or a token proves both by it.
/// </summary>
internal sealed class CrossSite(RequestDelegate next, IOptions<ProtectionOptions> options, CsrfTokens tokens)
{
    private readonly HashSet<string> _allowed = new(options.Value.AllowedOrigins, StringComparer.Ordinal);

    public Task InvokeAsync(HttpContext context)
    {
        var method = context.Request.Method;
        if (HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || HttpMethods.IsOptions(method))
            return next(context);

        var caller = Caller.Find(context);
        var session = caller is { Credential: CredentialKind.Session };
        // Also sign-in and the like, where the answer sets a cookie: nobody is to be signed in as somebody else by a foreign page.
        if ((session || caller is null) && IsForeign(context.Request))
        {
            throw Refuse(
                context, "cross-site", "A page of another site may not do this. Call from an origin of Protection:AllowedOrigins.");
        }

        if (session && !tokens.Fits(caller!, context.Request.Headers[CsrfTokens.Header]))
        {
            throw Refuse(
                context, "csrf token", $"A session needs its token in the header {CsrfTokens.Header}. GET /api/auth/csrf answers it.");
        }

        return next(context);
    }

    private bool IsForeign(HttpRequest request)
    {
        // An origin says more than Sec-Fetch-Site, which knows nothing of the allowed ones; "null" is a sandboxed page or a file.
        var origin = request.Headers.Origin.ToString();
        if (origin.Length > 0)
        {
            return !_allowed.Contains(origin)
                && !string.Equals(origin, $"{request.Scheme}://{request.Host.Value}", StringComparison.OrdinalIgnoreCase);
        }

        return request.Headers["Sec-Fetch-Site"].ToString() is "cross-site" or "same-site";
    }

    private static RequestException Refuse(HttpContext context, string reason, string text)
    {
        Suspicion.Raise(context, reason);
        return new RequestException(StatusCodes.Status403Forbidden, text) { Code = "cross_site" };
    }
}
