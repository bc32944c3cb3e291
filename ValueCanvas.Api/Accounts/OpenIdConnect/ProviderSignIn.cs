using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Accounts.Sessions;
using ValueCanvas.Api.Accounts.SignIn;
using ValueCanvas.Api.Accounts.Tenants;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Accounts.OpenIdConnect;

/// <summary>
/// Whose account an identity is. One that is known signs its user in. An unknown one joins the account with its e-mail address only where
/// both sides have verified that address: otherwise whoever registers somebody else's address first would share the account later.
/// </summary>
internal sealed class ProviderSignIn(
    AccountDatabase database, Registration registration, SessionStore sessions, AuditLog audit, TimeProvider time)
{
    public async Task<StartedSession> SignInAsync(
        Identity identity, string displayName, HttpContext context, CancellationToken cancellationToken)
    {
        var login = new UserLoginInfo(identity.Provider, identity.Subject, displayName);
        var session = await FindAsync(identity, cancellationToken) is { } known
            ? await StartAsync(known, null, context, cancellationToken)
            : await JoinOrRegisterAsync(identity, login, context, cancellationToken);
        audit.Record(context, new("auth.login")
        {
            Actor = AuditActor.User(session.UserId),
            Tenant = session.TenantId,
            Subject = new("session", session.Id),
            Details = [("provider", identity.Provider)],
        });
        return session;
    }

    /// <summary>Has the identity belong to a user who asked for it while signed in.</summary>
    public async Task<StartedSession> LinkAsync(
        Guid userId, Identity identity, string displayName, HttpContext context, CancellationToken cancellationToken)
    {
        if (await FindAsync(identity, cancellationToken) is { } owner && owner != userId)
            throw Refused("identity_taken", "This identity signs in another account already.");
        var session = await StartAsync(
            userId, new UserLoginInfo(identity.Provider, identity.Subject, displayName), context, cancellationToken);
        audit.Record(context, new("auth.identity_linked")
        {
            Actor = AuditActor.User(userId),
            Tenant = session.TenantId,
            Subject = new("user", userId),
            Details = [("provider", identity.Provider)],
        });
        return session;
    }

    private async Task<StartedSession> JoinOrRegisterAsync(
        Identity identity, UserLoginInfo login, HttpContext context, CancellationToken cancellationToken)
    {
        if (!EmailAddress.IsValid(identity.VerifiedEmail))
            throw Refused("email_not_verified", "The provider vouches for no e-mail address of yours. Verify it there, and sign in again.");
        var email = identity.VerifiedEmail!;
        var normalized = EmailAddress.Normalize(email);
        var existing = await database.ExecuteAsync(
            new ActingFor(SignIn: normalized),
            (work, ct) => work.Db.Users.AsNoTracking().SingleOrDefaultAsync(row => row.NormalizedEmail == normalized, ct),
            cancellationToken);
        if (existing is { EmailConfirmed: true })
            return await StartAsync(existing.Id, login, context, cancellationToken);
        if (existing is not null)
        {
            throw Refused(
                "account_exists",
                "There is an account with your e-mail address. Sign in with its password, and link the provider from there.");
        }

        var user = User.Create(Guid.CreateVersion7(time.GetUtcNow()), email, identity.Name, passwordHash: null, emailConfirmed: true);
        var (made, session) = await registration.CreateAsync(
            user,
            tenantName: null,
            login,
            (work, owner, ct) => sessions.StartAsync(work, owner.UserId, owner.TenantId, context, ct),
            cancellationToken);
        if (made is null || session is null)
            throw Refused("account_exists", "The account is being made at this moment. Sign in again.");
        audit.Record(context, new("auth.register")
        {
            Actor = AuditActor.User(made.UserId),
            Tenant = made.TenantId,
            Subject = new("user", made.UserId),
            Details = [("provider", identity.Provider)],
        });
        return session;
    }

    private Task<Guid?> FindAsync(Identity identity, CancellationToken cancellationToken) => database.ExecuteAsync(
        default,
        (work, ct) => work.Db.Database
            .SqlQuery<Guid?>($"SELECT user_of_login({identity.Provider}, {identity.Subject}) AS \"Value\"")
            .SingleAsync(ct),
        cancellationToken);

    private Task<StartedSession> StartAsync(Guid userId, UserLoginInfo? login, HttpContext context, CancellationToken cancellationToken) =>
        database.ExecuteAsync(
            new ActingFor(User: userId),
            async (work, ct) =>
            {
                var isEnabled = await work.Db.Database
                    .SqlQuery<bool>($"SELECT EXISTS (SELECT FROM users WHERE id = {userId} AND disabled_at IS NULL) AS \"Value\"")
                    .SingleAsync(ct);
                if (!isEnabled)
                    throw Refused("account_disabled", "This account is closed.");
                if (login is not null)
                {
                    await work.Db.Database.ExecuteSqlAsync(
                        $"""
                         INSERT INTO user_logins (login_provider, provider_key, provider_display_name, user_id)
                         VALUES ({login.LoginProvider}, {login.ProviderKey}, {login.ProviderDisplayName}, {userId})
                         ON CONFLICT DO NOTHING
                         """,
                        ct);
                }

                var tenant = await Memberships.ChooseAsync(work, null, ct);
                return await sessions.StartAsync(work, userId, tenant, context, ct);
            },
            cancellationToken);

    private static RequestException Refused(string code, string message) => new(StatusCodes.Status403Forbidden, message) { Code = code };
}
