using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;

namespace ValueCanvas.Api.Accounts.Users;

/// <summary>On whose behalf a transaction runs: row-level security shows it a user's own rows, a tenant's, and whoever signs in.</summary>
/// <param name="User">Whose own rows.</param>
/// <param name="Tenant">Which tenant's.</param>
/// <param name="SignIn">The normalised e-mail address that somebody signs in with, or registers.</param>
internal readonly record struct ActingFor(Guid? User = null, Guid? Tenant = null, string? SignIn = null);

/// <summary>A unit of work on accounts: one transaction in which the database knows for whom it is.</summary>
/// <remarks>
/// Work that met a lost connection is done again, in a new transaction; a commit is not: what became of it is not known, so the caller
/// hears of a database that is away.
/// </remarks>
internal sealed class AccountDatabase(IServiceScopeFactory scopes)
{
    public async Task<T> ExecuteAsync<T>(
        ActingFor who, Func<AccountWork, CancellationToken, Task<T>> work, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<AccountsDbContext>();
        var users = scope.ServiceProvider.GetRequiredService<UserManager<User>>();
        var (transaction, result) = await db.Database.CreateExecutionStrategy().ExecuteAsync(
            async ct =>
            {
                db.ChangeTracker.Clear();
                var begun = await db.Database.BeginTransactionAsync(ct);
                try
                {
                    var unit = new AccountWork(db, users);
                    await unit.ActForAsync(who, ct);
                    return (begun, await work(unit, ct));
                }
                catch
                {
                    await begun.DisposeAsync();
                    throw;
                }
            },
            cancellationToken);
        await using (transaction)
        {
            await transaction.CommitAsync(CancellationToken.None);
            return result;
        }
    }
}

/// <summary>What a unit of work has to work with.</summary>
internal sealed record AccountWork(AccountsDbContext Db, UserManager<User> Users)
{
    /// <summary>Says anew for whom the rest of the transaction is.</summary>
    public Task ActForAsync(ActingFor who, CancellationToken cancellationToken) => Db.Database.ExecuteSqlAsync(
        $"""
         SELECT set_config('app.user_id', {who.User?.ToString() ?? ""}, true),
                set_config('app.tenant_id', {who.Tenant?.ToString() ?? ""}, true),
                set_config('app.sign_in', {who.SignIn ?? ""}, true)
         """,
        cancellationToken);
}
