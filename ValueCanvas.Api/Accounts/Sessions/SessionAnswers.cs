using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Accounts.Sessions;

/// <summary>What somebody gets who signed in or refreshed: an access token, and the refresh token for the next.</summary>
internal sealed class SessionAnswers(AccessTokens tokens, SessionCookies cookies)
{
    public async Task<IResult> AnswerAsync(
        HttpContext context, StartedSession session, bool inCookies, CancellationToken cancellationToken)
    {
        var access = await tokens.IssueAsync(session.UserId, session.TenantId, session.Id, cancellationToken);
        context.Response.Headers.CacheControl = "no-store";
        if (inCookies)
            cookies.Set(context.Response, access.Text, session.RefreshToken);
        return TypedResults.Ok(Envelope.Of(new SessionData(
            inCookies ? null : access.Text,
            "Bearer",
            (int)access.ExpiresIn.TotalSeconds,
            inCookies ? null : session.RefreshToken,
            session.UserId,
            session.TenantId,
            session.Id)));
    }
}

/// <param name="AccessToken">For <c>Authorization: Bearer</c>; null where it is in a cookie.</param>
/// <param name="TokenType">Always <c>Bearer</c>.</param>
/// <param name="ExpiresIn">Seconds until the access token expires.</param>
/// <param name="RefreshToken">For <c>POST /api/auth/refresh</c>, once; null where it is in a cookie.</param>
/// <param name="UserId">Who signed in.</param>
/// <param name="TenantId">The tenant that the access token is for.</param>
/// <param name="SessionId">The session.</param>
internal sealed record SessionData(
    string? AccessToken, string TokenType, int ExpiresIn, string? RefreshToken, Guid UserId, Guid TenantId, Guid SessionId);
