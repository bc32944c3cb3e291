using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Api.Accounts.Tenants;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Protection;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Accounts.SignIn;

internal static class SignInEndpoints
{
    public static void MapSignInEndpoints(this RouteGroupBuilder group)
    {
        group.MapPost("/register", RegisterAsync)
            .AllowAnonymous()
            .WithSummary("Register; the answer is the same where the e-mail address is taken")
            .Produces<Envelope<RegisterData>>(StatusCodes.Status202Accepted)
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status429TooManyRequests);
        group.MapPost("/login", LoginAsync)
            .AllowAnonymous()
            .WithSummary("Sign in by e-mail address and password")
            .Produces<Envelope<SessionData>>()
            .ProducesProblems(StatusCodes.Status401Unauthorized, StatusCodes.Status429TooManyRequests);
        group.MapPost("/password", ChangePasswordAsync)
            .RequireUser()
            .AllowOneTimePassword()
            .WithSummary("Change the password; ends all other sessions")
            .Produces<Envelope<PasswordData>>()
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status429TooManyRequests);
        group.MapGet("/me", MeAsync)
            .AllowOneTimePassword()
            .WithSummary("Who calls, in which tenant, and what they may")
            .Produces<Envelope<MeData>>();
    }

    private static async Task<IResult> RegisterAsync(
        JsonBody<RegisterBody> body,
        Registration registration,
        SignInGuard guard,
        ClientSource clients,
        IOptions<GuardOptions> options,
        AuditLog audit,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        if (!options.Value.Registration)
        {
            throw new RequestException(StatusCodes.Status403Forbidden, "Nobody can register here. Ask an operator.")
            {
                Code = "registration_closed",
            };
        }

        await guard.BeginRegistrationAsync(clients.NetworkOf(context));
        var made = await registration.RegisterAsync(body.Value, cancellationToken);
        audit.Record(context, made is null
            ? new("auth.register", AuditOutcome.Failure) { Details = [("reason", "taken")] }
            : new("auth.register") { Actor = AuditActor.User(made.UserId), Tenant = made.TenantId, Subject = new("user", made.UserId) });
        return TypedResults.Accepted((string?)null, Envelope.Of(new RegisterData(
            "If this e-mail address was not registered before, it is now: sign in with POST /api/auth/login.")));
    }

    private static async Task<IResult> LoginAsync(
        JsonBody<LoginBody> body, PasswordSignIn signIn, SessionAnswers answers, HttpContext context,
        CancellationToken cancellationToken) =>
        await answers.AnswerAsync(
            context, await signIn.SignInAsync(body.Value, context, cancellationToken), body.Value.Cookies == true, cancellationToken);

    private static async Task<IResult> ChangePasswordAsync(
        JsonBody<PasswordBody> body,
        Caller caller,
        PasswordSignIn signIn,
        AccessTokens tokens,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        await signIn.ChangeAsync(caller, body.Value, context, cancellationToken);
        tokens.Forget(token => token.UserId == caller.UserId);
        return TypedResults.Ok(Envelope.Of(new PasswordData("The password is changed; all other sessions have ended.")));
    }

    private static async Task<IResult> MeAsync(Caller caller, AccountDatabase database, CancellationToken cancellationToken)
    {
        var me = await database.ExecuteAsync(
            new ActingFor(caller.UserId, caller.TenantId),
            async (work, ct) => (
                User: caller.UserId is { } id ? await work.Db.Users.AsNoTracking().SingleOrDefaultAsync(row => row.Id == id, ct) : null,
                Tenants: caller.UserId is null ? [] : await Memberships.ListAsync(work, ct),
                Tenant: await work.Db.Database
                    .SqlQuery<string>($"SELECT name AS \"Value\" FROM tenants WHERE id = {caller.TenantId}").SingleOrDefaultAsync(ct)),
            cancellationToken);
        return TypedResults.Ok(Envelope.Of(new MeData(
            caller.UserId,
            me.User?.Email,
            me.User?.DisplayName,
            caller.IsOperator,
            new TenantView(caller.TenantId, me.Tenant ?? "", caller.Role.ToWireName()),
            [.. me.Tenants.Select(row => new TenantView(row.TenantId, row.Name, row.Role))],
            caller.SessionId,
            caller.ApiKeyId)));
    }
}

/// <param name="Message">What to do next.</param>
internal sealed record RegisterData(string Message);

/// <param name="Message">What has happened.</param>
internal sealed record PasswordData(string Message);

/// <param name="UserId">Null for an API key.</param>
/// <param name="Email">The user's.</param>
/// <param name="Name">What the user calls itself.</param>
/// <param name="IsOperator">Operates the installation.</param>
/// <param name="Tenant">The tenant that the request runs in, and the caller's role there.</param>
/// <param name="Tenants">All tenants of the user.</param>
/// <param name="SessionId">Null for an API key.</param>
/// <param name="ApiKeyId">Null for a user.</param>
internal sealed record MeData(
    Guid? UserId,
    string? Email,
    string? Name,
    bool IsOperator,
    TenantView Tenant,
    IReadOnlyList<TenantView> Tenants,
    Guid? SessionId,
    Guid? ApiKeyId);
