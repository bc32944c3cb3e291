using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Api.Accounts.SignIn;
using ValueCanvas.Api.Accounts.Tokens;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Protection;

namespace ValueCanvas.Api.Accounts.Passwords;

/// <summary>
/// Codes for those who forgot their password. Nothing here sends mail: whoever may issue one hands it on. The database decides who may, and
/// that each works once.
/// </summary>
internal sealed class PasswordResets(
    AccountDatabase database,
    PasswordHashing hashing,
    SignInGuard guard,
    ClientSource clients,
    AccessTokens tokens,
    IOptions<AccountSessionOptions> options,
    AuditLog audit)
{
    /// <summary>By an operator, for anybody (by e-mail address); or by an owner, for a member of the tenant (by id).</summary>
    /// <exception cref="RequestException">403, 404.</exception>
    public async Task<NewPasswordReset> IssueAsync(
        Caller caller, string? email, Guid? member, HttpContext context, CancellationToken cancellationToken)
    {
        var token = OpaqueToken.Create();
        var normalized = email is null ? null : EmailAddress.Normalize(email);
        Guid? within = member is null ? null : caller.TenantId;
        var issued = await database.ExecuteAsync(
            new ActingFor(caller.HolderId, caller.TenantId),
            async (work, ct) =>
            {
                var row = (await work.Db.Database.SqlQuery<IssuedRow>(
                    $"""
                     SELECT outcome AS "Outcome", user_id AS "UserId", expires_at AS "ExpiresAt"
                     FROM issue_password_reset({normalized}, {member}, {within}, {token.Hash}, {options.Value.PasswordReset})
                     """).ToListAsync(ct))[0];
                if (row.Outcome == "issued")
                {
                    await audit.WriteAsync(
                        work.Db, context, new("auth.password_reset_issued") { Subject = new("user", row.UserId!.Value) }, ct);
                }

                return row;
            },
            cancellationToken);
        if (issued is { Outcome: "issued", UserId: { } user, ExpiresAt: { } expires })
            return new NewPasswordReset(user, token.ToText(OpaqueToken.PasswordReset), expires);

        audit.Record(context, new("auth.password_reset_issued", AuditOutcome.Denied)
        {
            Subject = issued.UserId is { } refused ? new("user", refused) : null,
            Details = [("reason", issued.Outcome)],
        });
        throw issued.Outcome switch
        {
            "forbidden" => Refusals.Operator(),
            "elsewhere" => new RequestException(
                StatusCodes.Status403Forbidden,
                "This user is an operator, or belongs to tenants that are not yours, too. Ask an operator for the code.")
            {
                Code = "user_of_other_tenants",
            },
            "disabled" => new RequestException(StatusCodes.Status409Conflict, "This user is disabled.") { Code = "user_disabled" },
            _ => RequestException.NotFound(member is null
                ? "There is no user with this e-mail address."
                : "There is no member with this id in the tenant."),
        };
    }

    /// <exception cref="RequestException">401, the same for every code that does not hold; 400 for a bad password; 429.</exception>
    public async Task RedeemAsync(RedeemResetBody body, HttpContext context, CancellationToken cancellationToken)
    {
        // 1. A code cannot be guessed; who tries all the same is slowed down, by network.
        var tries = await guard.BeginAsync("password-reset", clients.NetworkOf(context), isKnown: true);
        var whose = OpaqueToken.TryParse(OpaqueToken.PasswordReset, body.Token, out var token)
            ? await FindAsync(token, cancellationToken)
            : null;
        if (whose is null)
            throw Refuse(context);
        await guard.SucceedAsync(tries);
        if (PasswordRules.Problem(body.NewPassword!, whose.Email) is { } problem)
            throw RequestException.Invalid("newPassword", problem);

        // 2. The new password, and nobody is signed in any more who was. Of two who bring the code at once only one is first.
        var hash = await hashing.HashAsync(body.NewPassword!, cancellationToken);
        var done = await database.ExecuteAsync(
            default,
            async (work, ct) =>
            {
                var stamp = Guid.NewGuid().ToString("N");
                var rows = await work.Db.Database.SqlQuery<RedeemedRow>(
                    $"""
                     SELECT user_id AS "UserId", sessions_ended AS "SessionsEnded"
                     FROM redeem_password_reset({token!.Hash}, {hash}, {stamp})
                     """).ToListAsync(ct);
                if (rows is not [var row])
                    return false;
                await audit.WriteAsync(
                    work.Db,
                    context,
                    new("auth.password_reset")
                    {
                        Actor = AuditActor.User(row.UserId),
                        Subject = new("user", row.UserId),
                        Details = [("sessions_ended", row.SessionsEnded.ToString(CultureInfo.InvariantCulture))],
                    },
                    ct);
                return true;
            },
            cancellationToken);
        if (!done)
            throw Refuse(context);
        tokens.Forget(access => access.UserId == whose.UserId);
    }

    private Task<TargetRow?> FindAsync(OpaqueToken token, CancellationToken cancellationToken) => database.ExecuteAsync(
        default,
        async (work, ct) =>
        {
            var rows = await work.Db.Database
                .SqlQuery<TargetRow>($"SELECT user_id AS \"UserId\", email AS \"Email\" FROM user_of_password_reset({token.Hash})")
                .ToListAsync(ct);
            return rows.SingleOrDefault();
        },
        cancellationToken);

    private RequestException Refuse(HttpContext context)
    {
        audit.Record(context, new("auth.password_reset", AuditOutcome.Failure));
        return new(
            StatusCodes.Status401Unauthorized,
            "This code is mistyped, was used, was replaced by another or has expired. Ask for a new one.")
        {
            Code = "wrong_reset_code",
        };
    }

    private sealed record IssuedRow(string Outcome, Guid? UserId, DateTimeOffset? ExpiresAt);

    private sealed record TargetRow(Guid UserId, string Email);

    private sealed record RedeemedRow(Guid UserId, int SessionsEnded);
}
