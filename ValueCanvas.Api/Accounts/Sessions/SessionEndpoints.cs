using System.Globalization;
using ValueCanvas.Api.Accounts.Tenants;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Accounts.Sessions;

internal static class SessionEndpoints
{
    public static void MapSessionEndpoints(this RouteGroupBuilder group)
    {
        group.MapPost("/refresh", RefreshAsync)
            .AllowAnonymous()
            .WithMetadata(new NotAudited("It goes on with a sign-in that is in the log; another tenant, and what is refused, are told."))
            .WithSummary("The next access token, and the next refresh token; each refresh token works once")
            .Produces<Envelope<SessionData>>()
            .ProducesProblems(StatusCodes.Status401Unauthorized, StatusCodes.Status403Forbidden);
        group.MapPost("/logout", LogoutAsync)
            .AllowAnonymous()
            .WithSummary("End the session of the refresh token, or of the access token")
            .Produces<Envelope<SessionsEnded>>();
        group.MapGet("/sessions", ListAsync)
            .RequireUser()
            .WithSummary("Where the user is signed in")
            .Produces<Envelope<SessionList>>();
        group.MapDelete("/sessions", EndOthersAsync)
            .RequireUser()
            .WithSummary("End all sessions of the user but this one")
            .Produces<Envelope<SessionsEnded>>();
        group.MapDelete("/sessions/{id}", EndAsync)
            .RequireUser()
            .WithSummary("End a session of the user")
            .Produces<Envelope<SessionsEnded>>()
            .ProducesProblem(StatusCodes.Status404NotFound);
    }

    private static async Task<IResult> RefreshAsync(
        JsonBody<RefreshBody> body,
        SessionStore sessions,
        SessionAnswers answers,
        AccessTokens tokens,
        AuditLog audit,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        var given = body.Value.RefreshToken ?? SessionCookies.ReadRefresh(context.Request);
        var rotation = await sessions.RotateAsync(given, body.Value.TenantId, cancellationToken);
        if (rotation is { Outcome: RotationOutcome.Rotated or RotationOutcome.Repeated, Session: { } session })
        {
            if (body.Value.TenantId is not null)
            {
                audit.Record(context, new("auth.refresh")
                {
                    Actor = AuditActor.User(session.UserId),
                    Tenant = session.TenantId,
                    Subject = new("session", session.Id),
                });
            }

            return await answers.AnswerAsync(context, session, inCookies: body.Value.RefreshToken is null, cancellationToken);
        }

        if (rotation is { Outcome: RotationOutcome.Reused, Session: { } stolen })
            tokens.Forget(token => token.SessionId == stolen.Id);
        audit.Record(context, new("auth.refresh", AuditOutcome.Denied)
        {
            // Whoever it was, the tenant's admins are to see that somebody's token was stolen.
            Tenant = rotation.Session?.TenantId,
            Subject = rotation.Session is { } known ? new("session", known.Id) : null,
            Details = [("reason", rotation.Outcome.ToString().ToLowerInvariant())],
        });
        if (rotation.Outcome == RotationOutcome.NoTenant)
            throw Memberships.NoTenant(body.Value.TenantId);
        // Whether it never was, has expired, or was somebody else's, too: only the log says.
        throw new RequestException(StatusCodes.Status401Unauthorized, "The refresh token does not hold any more. Sign in again.")
        {
            Code = "session_ended",
        };
    }

    // Signing out always works: who brings nothing that holds is signed out already.
    private static async Task<IResult> LogoutAsync(
        JsonBody<LogoutBody> body,
        SessionStore sessions,
        AccessTokens tokens,
        AuditLog audit,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        var ended = await sessions.EndByTokenAsync(
            body.Value.RefreshToken ?? SessionCookies.ReadRefresh(context.Request), cancellationToken);
        if (ended is null && Credential.ReadToken(context.Request) is { } text
            && await tokens.ValidateAsync(text, cancellationToken) is { } token
            && await sessions.EndAsync(token.UserId, token.SessionId, "logout", cancellationToken))
        {
            ended = new EndedSession(token.SessionId, token.UserId, token.TenantId);
        }

        SessionCookies.Clear(context.Response);
        if (ended is not null)
        {
            // Here at once; elsewhere as soon as they hear of it.
            tokens.Forget(known => known.SessionId == ended.Id);
            audit.Record(context, new("auth.logout")
            {
                Actor = AuditActor.User(ended.UserId),
                Tenant = ended.TenantId,
                Subject = new("session", ended.Id),
            });
        }

        return TypedResults.Ok(Envelope.Of(new SessionsEnded(ended is null ? 0 : 1)));
    }

    private static async Task<IResult> ListAsync(Caller caller, SessionStore sessions, CancellationToken cancellationToken)
    {
        var rows = await sessions.ListAsync(caller.UserId!.Value, cancellationToken);
        return TypedResults.Ok(Envelope.Of(new SessionList([.. rows.Select(row => new SessionView(
            row.Id, row.Id == caller.SessionId, row.TenantId, row.Client, row.CreatedAt, row.LastUsedAt, row.ExpiresAt))])));
    }

    private static async Task<IResult> EndAsync(
        string id, Caller caller, SessionStore sessions, AccessTokens tokens, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        if (!Guid.TryParse(id, CultureInfo.InvariantCulture, out var session)
            || !await sessions.EndAsync(caller.UserId!.Value, session, "ended", cancellationToken))
        {
            throw RequestException.NotFound("You have no session with this id. GET /api/auth/sessions lists those that there are.");
        }

        tokens.Forget(token => token.SessionId == session);
        audit.Record(context, new("auth.session_ended") { Subject = new("session", session) });
        return TypedResults.Ok(Envelope.Of(new SessionsEnded(1)));
    }

    private static async Task<IResult> EndOthersAsync(
        Caller caller, AccountDatabase database, AccessTokens tokens, AuditLog audit, HttpContext context,
        CancellationToken cancellationToken)
    {
        var user = caller.UserId!.Value;
        var ended = await database.ExecuteAsync(
            new ActingFor(User: user),
            (work, ct) => SessionStore.EndOthersAsync(work, user, caller.SessionId, "ended", ct),
            cancellationToken);
        tokens.Forget(token => token.UserId == user);
        audit.Record(context, new("auth.sessions_ended") { Details = [("count", ended.ToString(CultureInfo.InvariantCulture))] });
        return TypedResults.Ok(Envelope.Of(new SessionsEnded(ended)));
    }
}
