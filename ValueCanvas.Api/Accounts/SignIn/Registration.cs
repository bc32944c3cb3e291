using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using ValueCanvas.Api.Accounts.Passwords;
using ValueCanvas.Api.Accounts.Users;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Accounts.SignIn;

/// <summary>Makes users: each with a tenant of its own.</summary>
internal sealed class Registration(AccountDatabase database, PasswordHashing hashing, FirstStart firstStart, TimeProvider time)
{
    /// <summary>By e-mail address and password. Null where the address is taken, which takes as long.</summary>
    public async Task<NewUser?> RegisterAsync(RegisterBody body, CancellationToken cancellationToken)
    {
        var hash = await hashing.HashAsync(body.Password!, cancellationToken);
        var user = User.Create(Guid.CreateVersion7(time.GetUtcNow()), body.Email!, body.Name, hash, emailConfirmed: false);
        var (made, _) = await CreateAsync(user, body.TenantName, login: null, (_, _, _) => Task.FromResult(true), cancellationToken);
        return made;
    }

    /// <summary>Makes the user and its tenant, and in the same transaction whatever <paramref name="also"/> does for them.</summary>
    /// <exception cref="RequestException">503: the operator has to be here first, or somebody else could take that address.</exception>
    public async Task<(NewUser? User, T? Result)> CreateAsync<T>(
        User user,
        string? tenantName,
        UserLoginInfo? login,
        Func<AccountWork, NewUser, CancellationToken, Task<T>> also,
        CancellationToken cancellationToken)
    {
        if (!firstStart.IsDone)
        {
            throw new RequestException(StatusCodes.Status503ServiceUnavailable, "The service is still starting. Try again shortly.")
            {
                Code = "starting",
                RetryAfter = TimeSpan.FromSeconds(2),
            };
        }

        var made = new NewUser(user.Id, Guid.CreateVersion7(time.GetUtcNow()));
        var name = tenantName ?? user.DisplayName ?? user.Email!.Split('@')[0];
        try
        {
            return await database.ExecuteAsync<(NewUser?, T?)>(
                new ActingFor(made.UserId, made.TenantId, EmailAddress.Normalize(user.Email!)),
                async (work, ct) =>
                {
                    // A second run of this work, after a lost connection, begins with a user that no context knows.
                    var created = await work.Users.CreateAsync(Copy(user));
                    if (!created.Succeeded)
                        return (null, default);
                    await work.Db.Database.ExecuteSqlAsync(
                        $"""
                         INSERT INTO tenants (id, name) VALUES ({made.TenantId}, {name});
                         INSERT INTO memberships (tenant_id, user_id, role) VALUES ({made.TenantId}, {made.UserId}, 'owner');
                         """,
                        ct);
                    if (login is not null)
                    {
                        await work.Db.Database.ExecuteSqlAsync(
                            $"""
                             INSERT INTO user_logins (login_provider, provider_key, provider_display_name, user_id)
                             VALUES ({login.LoginProvider}, {login.ProviderKey}, {login.ProviderDisplayName}, {made.UserId})
                             """,
                            ct);
                    }

                    return (made, await also(work, made, ct));
                },
                cancellationToken);
        }
        catch (Exception exception) when (IsTaken(exception))
        {
            // Two registered the same address at the same moment.
            return (null, default);
        }
    }

    private static User Copy(User user) => User.Create(user.Id, user.Email!, user.DisplayName, user.PasswordHash, user.EmailConfirmed);

    private static bool IsTaken(Exception exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation }
            or DbUpdateException { InnerException: PostgresException { SqlState: PostgresErrorCodes.UniqueViolation } };
}

internal sealed record NewUser(Guid UserId, Guid TenantId);
