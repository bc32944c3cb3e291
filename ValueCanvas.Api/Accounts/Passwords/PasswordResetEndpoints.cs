using Microsoft.AspNetCore.Http.HttpResults;
using ValueCanvas.Api.Accounts.SignIn;
using ValueCanvas.Api.Accounts.Tenants;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Accounts.Passwords;

internal static class PasswordResetEndpoints
{
    /// <summary>For who has the code.</summary>
    public static void MapPasswordReset(this RouteGroupBuilder group) => group.MapPost("/password/reset", RedeemAsync)
        .AllowAnonymous()
        .WithSummary("Set a new password by the code that an operator or owner issued; ends all sessions")
        .Produces<Envelope<PasswordData>>()
        .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status401Unauthorized, StatusCodes.Status429TooManyRequests);

    /// <summary>For owners, below a tenant's members.</summary>
    public static void MapMemberPasswordReset(this RouteGroupBuilder group) => group
        .MapPost("/{userId}/password-reset", IssueForMemberAsync)
        .RequireRole(Role.Owner)
        .WithSummary("Issue a code for a member who forgot the password; it is shown only in this answer")
        .Produces<Envelope<NewPasswordReset>>(StatusCodes.Status201Created)
        .ProducesProblems(StatusCodes.Status403Forbidden, StatusCodes.Status404NotFound, StatusCodes.Status409Conflict);

    /// <summary>For operators.</summary>
    public static RouteGroupBuilder MapPasswordResetOperation(this RouteGroupBuilder group)
    {
        group.WithTags("Accounts").WithMetadata(BodyLimit.Accounts).RequireOperator();
        group.MapPost("", IssueAsync)
            .WithSummary("Issue a code for a user who forgot the password; it is shown only in this answer")
            .Produces<Envelope<NewPasswordReset>>(StatusCodes.Status201Created)
            .ProducesProblems(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound, StatusCodes.Status409Conflict);
        return group;
    }

    private static async Task<IResult> IssueAsync(
        JsonBody<IssueResetBody> body, Caller caller, PasswordResets resets, HttpContext context, CancellationToken cancellationToken) =>
        Shown(context, await resets.IssueAsync(caller, body.Value.Email, member: null, context, cancellationToken));

    private static async Task<IResult> IssueForMemberAsync(
        string tenantId, string userId, Caller caller, PasswordResets resets, HttpContext context, CancellationToken cancellationToken)
    {
        TenantPath.Check(tenantId, caller);
        return Shown(context, await resets.IssueAsync(caller, email: null, TenantPath.Id(userId, "member"), context, cancellationToken));
    }

    private static async Task<IResult> RedeemAsync(
        JsonBody<RedeemResetBody> body, PasswordResets resets, HttpContext context, CancellationToken cancellationToken)
    {
        await resets.RedeemAsync(body.Value, context, cancellationToken);
        return TypedResults.Ok(Envelope.Of(new PasswordData("The password is changed; all sessions have ended. Sign in.")));
    }

    private static Created<Envelope<NewPasswordReset>> Shown(HttpContext context, NewPasswordReset issued)
    {
        context.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created((string?)null, Envelope.Of(issued));
    }
}
