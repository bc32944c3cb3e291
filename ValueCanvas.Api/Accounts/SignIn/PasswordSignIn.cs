using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Accounts.Passwords;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Api.Accounts.Tenants;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.Protection;

namespace ValueCanvas.Api.Accounts.SignIn;

/// <summary>Signing in by e-mail address and password, and changing the password. What fails, fails the same way for everybody.</summary>
internal sealed class PasswordSignIn(
    AccountDatabase database, PasswordHashing hashing, SignInGuard guard, SessionStore sessions, ClientSource clients, AuditLog audit)
{
    public async Task<StartedSession> SignInAsync(LoginBody body, HttpContext context, CancellationToken cancellationToken)
    {
        // 1. Who is it said to be? An address that could not be registered is nobody's.
        var email = EmailAddress.IsValid(body.Email) ? EmailAddress.Normalize(body.Email!) : "";
        var network = clients.NetworkOf(context);
        var (user, isKnown) = await FindAsync(email, network, cancellationToken);

        // 2. May they try?
        Tries tries;
        try
        {
            tries = await guard.BeginAsync(email, network, isKnown);
        }
        catch (RequestException)
        {
            audit.Record(context, Event("auth.login", AuditOutcome.Denied, user, "too_many_tries"));
            throw;
        }

        // 3. Is it the password? A user that may not sign in costs as much as any other.
        if (!await hashing.VerifyAsync(user?.PasswordHash, body.Password!, cancellationToken) || user is null or { DisabledAt: not null })
        {
            var reason = user is { DisabledAt: not null } ? "disabled" : "wrong_password";
            audit.Record(context, Event("auth.login", AuditOutcome.Failure, user, reason));
            throw Wrong();
        }

        await guard.SucceedAsync(tries);

        // 4. The session, unless the password was changed just now: then the sessions from before it must not get company.
        var session = await database.ExecuteAsync(
            new ActingFor(User: user.Id),
            async (work, ct) =>
            {
                var current = await work.Db.Database
                    .SqlQuery<string?>(
                        $"SELECT password_hash AS \"Value\" FROM users WHERE id = {user.Id} AND disabled_at IS NULL FOR SHARE")
                    .ToListAsync(ct);
                if (current is not [{ } hash] || hash != user.PasswordHash)
                    throw Wrong();
                var tenant = await Memberships.ChooseAsync(work, body.TenantId, ct);
                return await sessions.StartAsync(work, user.Id, tenant, context, ct);
            },
            cancellationToken);
        audit.Record(context, new("auth.login")
        {
            Actor = AuditActor.User(user.Id),
            Tenant = session.TenantId,
            Subject = new("session", session.Id),
        });
        return session;
    }

    public async Task ChangeAsync(Caller caller, PasswordBody body, HttpContext context, CancellationToken cancellationToken)
    {
        var userId = caller.UserId!.Value;

        // 1. The old one, which is guessed at no faster than at the sign-in.
        var user = await database.ExecuteAsync(
            new ActingFor(User: userId),
            (work, ct) => work.Db.Users.AsNoTracking().SingleAsync(row => row.Id == userId, ct),
            cancellationToken);
        var tries = await guard.BeginAsync(user.NormalizedEmail!, clients.NetworkOf(context), isKnown: true);
        if (!await hashing.VerifyAsync(user.PasswordHash, body.CurrentPassword!, cancellationToken))
        {
            audit.Record(context, Event("auth.password_changed", AuditOutcome.Failure, user, "wrong_password"));
            throw RequestException.Invalid("currentPassword", "is not the password of this account");
        }

        await guard.SucceedAsync(tries);
        if (PasswordRules.Problem(body.NewPassword!, user.Email) is { } problem)
            throw RequestException.Invalid("newPassword", problem);

        // 2. The new one; and whoever else is signed in with the old one is so no longer.
        var hash = await hashing.HashAsync(body.NewPassword!, cancellationToken);
        await database.ExecuteAsync(
            new ActingFor(userId, caller.TenantId),
            async (work, ct) =>
            {
                var row = await work.Db.Users.SingleAsync(stored => stored.Id == userId, ct);
                if (row.PasswordHash != user.PasswordHash)
                    throw RequestException.Invalid("currentPassword", "has just been changed");
                row.PasswordHash = hash;
                var changed = await work.Users.UpdateSecurityStampAsync(row);
                if (!changed.Succeeded)
                    throw RequestException.Invalid("currentPassword", "has just been changed");
                var ended = await SessionStore.EndOthersAsync(work, userId, caller.SessionId, "password", ct);
                await audit.WriteAsync(
                    work.Db,
                    context,
                    new("auth.password_changed")
                    {
                        Subject = new("user", userId),
                        Details = [("sessions_ended", ended.ToString(System.Globalization.CultureInfo.InvariantCulture))],
                    },
                    ct);
                return true;
            },
            cancellationToken);
    }

    private Task<(User? User, bool IsKnown)> FindAsync(
        string email, byte[] network, CancellationToken cancellationToken) => database.ExecuteAsync(
        new ActingFor(SignIn: email),
        async (work, ct) =>
        {
            var user = await work.Db.Users.AsNoTracking().SingleOrDefaultAsync(row => row.NormalizedEmail == email, ct);
            // For nobody the same question is asked, so that it takes as long.
            var id = user?.Id ?? Guid.Empty;
            await work.ActForAsync(new ActingFor(User: id), ct);
            return (user, await SessionStore.KnowsNetworkAsync(work, id, network, ct));
        },
        cancellationToken);

    private static AuditEvent Event(string name, AuditOutcome outcome, User? user, string reason) => new(name, outcome)
    {
        Subject = user is null ? null : new("user", user.Id),
        Details = [("reason", reason)],
    };

    private static RequestException Wrong() =>
        new(StatusCodes.Status401Unauthorized, "The e-mail address or the password is wrong.") { Code = "wrong_credentials" };
}
