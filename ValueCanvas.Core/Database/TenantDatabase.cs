using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace ValueCanvas.Core.Database;

/// <summary>
/// The unit of work: one transaction on behalf of one tenant. Row-level security shows and accepts only this tenant's rows in it.
/// </summary>
/// <remarks>
/// The work may run more than once (a lost connection, a deadlock), each time in a new transaction with an empty change tracker, so it must
/// have no effect but on the context it gets. When the connection is lost during the commit, PostgreSQL is asked what became of
/// the transaction, so that work which did commit is not done again.
/// </remarks>
public sealed class TenantDatabase(IServiceScopeFactory scopes, TimeProvider time)
{
    private static readonly TimeSpan CommitPoll = TimeSpan.FromMilliseconds(100);
    private const int CommitPolls = 20;

    /// <summary>Runs <paramref name="work"/>, saves what the context tracks, commits, and returns the work's result.</summary>
    /// <exception cref="Exception">
    /// Whatever the work threw; for a database that is away see <see cref="DatabaseErrors.IsUnavailable"/>.
    /// </exception>
    public Task<T> ExecuteAsync<T>(
        Guid tenantId,
        Func<ValueCanvasDbContext, CancellationToken, Task<T>> work,
        CancellationToken cancellationToken) => RunAsync(tenantId, work, writes: false, cancellationToken);

    /// <summary>The same for work that certainly writes: a round trip less.</summary>
    /// <inheritdoc cref="ExecuteAsync{T}"/>
    public Task<T> WriteAsync<T>(
        Guid tenantId,
        Func<ValueCanvasDbContext, CancellationToken, Task<T>> work,
        CancellationToken cancellationToken) => RunAsync(tenantId, work, writes: true, cancellationToken);

    private async Task<T> RunAsync<T>(
        Guid tenantId,
        Func<ValueCanvasDbContext, CancellationToken, Task<T>> work,
        bool writes,
        CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var db = scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>();
        (string Xid, T Result)? committing = null;

        return await db.Database.CreateExecutionStrategy().ExecuteAsync(
            async ct =>
            {
                // 1. An earlier attempt that broke off during its commit may have succeeded.
                if (committing is { } earlier)
                {
                    if (await HasCommittedAsync(db, earlier.Xid, ct))
                        return earlier.Result;
                    committing = null;
                }

                // 2. A transaction that can see this tenant, and nothing else.
                db.ChangeTracker.Clear();
                await using var transaction = await db.Database.BeginTransactionAsync(ct);
                var xid = writes ? await BeginWritingAsync(db, tenantId, ct) : null;
                if (!writes)
                    await db.Database.ExecuteSqlAsync($"SELECT set_config('app.tenant_id', {tenantId.ToString()}, true)", ct);

                // 3. The work.
                db.Database.AutoSavepointsEnabled = true;
                var result = await work(db, ct);
                // Whoever fails from here on takes the transaction with it: two round trips for a savepoint would save nothing.
                db.Database.AutoSavepointsEnabled = false;
                await db.SaveChangesAsync(ct);

                // 4. Commit. From here on the caller's going away changes nothing.
                xid ??= await db.Database
                    .SqlQuery<string?>($"SELECT pg_current_xact_id_if_assigned()::text AS \"Value\"")
                    .SingleAsync(ct);
                if (xid is not null)
                    committing = (xid, result);
                await transaction.CommitAsync(CancellationToken.None);
                return result;
            },
            cancellationToken);
    }

    /// <inheritdoc cref="ExecuteAsync{T}"/>
    public Task ExecuteAsync(
        Guid tenantId,
        Func<ValueCanvasDbContext, CancellationToken, Task> work,
        CancellationToken cancellationToken) =>
        ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                await work(db, ct);
                return true;
            },
            cancellationToken);

    private static Task<string> BeginWritingAsync(
        ValueCanvasDbContext db, Guid tenantId, CancellationToken cancellationToken) => db.Database
        .SqlQuery<string>(
            $"SELECT pg_current_xact_id()::text AS \"Value\" FROM set_config('app.tenant_id', {tenantId.ToString()}, true)")
        .SingleAsync(cancellationToken);

    private async Task<bool> HasCommittedAsync(ValueCanvasDbContext db, string xid, CancellationToken cancellationToken)
    {
        for (var poll = 0; poll < CommitPolls; poll++)
        {
            var status = await db.Database
                .SqlQuery<string?>($"SELECT pg_xact_status(CAST({xid} AS xid8)) AS \"Value\"")
                .SingleAsync(cancellationToken);
            if (status != "in progress")
                return status == "committed";
            await Task.Delay(CommitPoll, time, cancellationToken);
        }

        // Still undecided: doing the work again could do it twice.
        throw new TimeoutException("The database did not say in time whether a transaction has committed.");
    }
}
