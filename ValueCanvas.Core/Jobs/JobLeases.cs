using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Jobs;

/// <summary>
/// What a worker does with the queue. A claim grants a lease; every later write names it, and is refused (<c>false</c>) when the job
/// has been given to another worker since, whose result alone counts.
/// </summary>
public sealed class JobLeases(IServiceScopeFactory scopes, TenantDatabase database)
{
    private readonly JobCompletions _completions = new(scopes);

    /// <summary>
    /// Takes up to <paramref name="limit"/> due jobs of any tenant, first by priority, then by time. Each is this worker's for
    /// <paramref name="lease"/>, unless it renews.
    /// </summary>
    public async Task<IReadOnlyList<Job>> ClaimAsync(string workerId, int limit, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Set<Job>()
            .FromSql(
                $"""
                 SELECT * FROM claim_llm_jobs(
                     {workerId}, CASE WHEN llm_queue_paused_since() IS NULL THEN {limit} ELSE 0 END, {lease})
                 """)
            .AsNoTracking()
            .ToListAsync(cancellationToken);
    }

    /// <summary>Renews leases, and returns the ids of the jobs that are still this worker's.</summary>
    public async Task<IReadOnlySet<Guid>> RenewAsync(IReadOnlyCollection<Job> jobs, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var ids = jobs.Select(job => job.Id).ToArray();
        var leases = jobs.Select(job => job.RunLease).ToArray();
        var held = await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database
            .SqlQuery<Guid>($"SELECT * FROM heartbeat_llm_jobs({ids}, {leases}, {lease})")
            .ToListAsync(cancellationToken);
        return held.ToHashSet();
    }

    /// <summary>
    /// The ids of those jobs that are no longer this worker's: called off, or another's. Renews nothing, and costs little.
    /// </summary>
    public async Task<IReadOnlySet<Guid>> FindLostAsync(IReadOnlyCollection<Job> jobs, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var ids = jobs.Select(job => job.Id).ToArray();
        var leases = jobs.Select(job => job.RunLease).ToArray();
        var lost = await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database
            .SqlQuery<Guid>($"SELECT * FROM lost_llm_jobs({ids}, {leases})")
            .ToListAsync(cancellationToken);
        return lost.ToHashSet();
    }

    /// <summary>
    /// Commits success, the <paramref name="result"/> (JSON), and what the job changed, or nothing at all; an exception of
    /// <paramref name="changes"/> takes it all back.
    /// </summary>
    public Task<bool> CompleteAsync(Job job, string result, JobChanges? changes, CancellationToken cancellationToken) =>
        // A child's end locks its parent: two groups could take parents in different orders, so it ends in a transaction of its own.
        changes is null && job.ParentId is null
        ? _completions.CompleteAsync(job, result).WaitAsync(cancellationToken)
        : database.WriteAsync(
            job.TenantId,
            async (db, ct) =>
            {
                // The fence first: it locks the row, so that no rescue comes between it and the commit.
                var held = await db.Database.ExecuteSqlAsync(
                    $"""
                     UPDATE llm_jobs
                     SET state = 'succeeded', finished_at = clock_timestamp(), lease_expires_at = NULL,
                         error_code = NULL, error_message = NULL
                     WHERE id = {job.Id} AND state = 'running' AND run_lease = {job.RunLease}
                     """,
                    ct);
                if (held == 0)
                    return false;

                db.Add(new JobResult { JobId = job.Id, TenantId = job.TenantId, RunLease = job.RunLease, Result = result });
                if (changes is not null)
                    await changes(db, ct);
                return true;
            },
            cancellationToken);

    /// <summary>Gives the job another attempt, no earlier than after <paramref name="delay"/>.</summary>
    public Task<bool> RetryAsync(Job job, JobError error, TimeSpan delay, CancellationToken cancellationToken) =>
        UpdateAsync(
            job,
            $"""
             UPDATE llm_jobs
             SET state = 'retryable', run_at = clock_timestamp() + {delay}, lease_expires_at = NULL,
                 error_code = {error.Code}, error_message = {error.Message}
             WHERE id = {job.Id} AND state = 'running' AND run_lease = {job.RunLease}
             """,
            cancellationToken);

    /// <summary>Gives the job up.</summary>
    public Task<bool> FailAsync(Job job, JobError error, CancellationToken cancellationToken) =>
        UpdateAsync(
            job,
            $"""
             UPDATE llm_jobs
             SET state = 'failed', finished_at = clock_timestamp(), lease_expires_at = NULL,
                 error_code = {error.Code}, error_message = {error.Message}
             WHERE id = {job.Id} AND state = 'running' AND run_lease = {job.RunLease}
             """,
            cancellationToken);

    /// <summary>Puts the job off without using the attempt: what it needs is not to be had for now.</summary>
    public Task<bool> SnoozeAsync(Job job, JobError error, TimeSpan delay, CancellationToken cancellationToken) =>
        UpdateAsync(
            job,
            $"""
             UPDATE llm_jobs
             SET state = CASE WHEN attempt > 1 THEN 'retryable' ELSE 'queued' END, attempt = attempt - 1, snoozes = snoozes + 1,
                 run_at = clock_timestamp() + {delay}, worker_id = NULL, lease_expires_at = NULL,
                 error_code = {error.Code}, error_message = {error.Message}
             WHERE id = {job.Id} AND state = 'running' AND run_lease = {job.RunLease}
             """,
            cancellationToken);

    /// <summary>Hands the job back unfinished, at once and without using the attempt: the worker stops, not the job's fault.</summary>
    public Task<bool> ReleaseAsync(Job job, CancellationToken cancellationToken) =>
        UpdateAsync(
            job,
            $"""
             UPDATE llm_jobs
             SET state = CASE WHEN attempt > 1 THEN 'retryable' ELSE 'queued' END, attempt = attempt - 1,
                 run_at = clock_timestamp(), worker_id = NULL, lease_expires_at = NULL
             WHERE id = {job.Id} AND state = 'running' AND run_lease = {job.RunLease}
             """,
            cancellationToken);

    /// <summary>
    /// Takes up to <paramref name="limit"/> jobs away from workers that stopped renewing, and says what became of each; with
    /// <paramref name="maxCrashes"/> lost workers a job is given up as the cause. Safe in any number of processes.
    /// </summary>
    public async Task<IReadOnlyList<RescuedJob>> RescueAsync(int limit, int maxCrashes, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        var rescued = await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database
            .SqlQuery<RescuedRow>($"""SELECT id AS "Id", state AS "State" FROM rescue_llm_jobs({limit}, {maxCrashes})""")
            .ToListAsync(cancellationToken);
        return [.. rescued.Select(row => new RescuedJob(row.Id, JobStates.Parse(row.State)))];
    }

    /// <summary>Fails up to <paramref name="limit"/> waiting jobs whose deadline has passed; says how many.</summary>
    public async Task<int> ExpireAsync(int limit, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database
            .SqlQuery<int>($"""SELECT expire_llm_jobs({limit}) AS "Value" """)
            .SingleAsync(cancellationToken);
    }

    /// <summary>
    /// Calls off up to <paramref name="limit"/> jobs whose parent has ended without them and could not do so itself; says how many.
    /// </summary>
    public async Task<int> CancelOrphansAsync(int limit, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database
            .SqlQuery<int>($"""SELECT cancel_orphaned_llm_jobs({limit}) AS "Value" """)
            .SingleAsync(cancellationToken);
    }

    /// <summary>Removes up to <paramref name="limit"/> jobs that ended longer ago than they are to be kept; says how many.</summary>
    public async Task<int> PruneAsync(TimeSpan keep, TimeSpan keepFailed, int limit, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database
            .SqlQuery<int>($"""SELECT prune_llm_jobs({keep}, {keepFailed}, {limit}) AS "Value" """)
            .SingleAsync(cancellationToken);
    }

    /// <summary>How much work there is, of all tenants.</summary>
    public async Task<QueueDepth> MeasureAsync(CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database
            .SqlQuery<QueueDepth>(
                $"""SELECT due AS "Due", running AS "Running", oldest_seconds AS "OldestSeconds" FROM measure_llm_jobs()""")
            .SingleAsync(cancellationToken);
    }

    private Task<bool> UpdateAsync(Job job, FormattableString sql, CancellationToken cancellationToken) =>
        database.WriteAsync(job.TenantId, async (db, ct) => await db.Database.ExecuteSqlAsync(sql, ct) > 0, cancellationToken);

    private sealed record RescuedRow(Guid Id, string State);
}

/// <summary>Writes what a job made into the transaction of its success; may be called again after a lost connection.</summary>
public delegate Task JobChanges(ValueCanvasDbContext db, CancellationToken cancellationToken);

/// <summary>Why an attempt failed, as the submitter sees it: no prompt, no secret.</summary>
/// <param name="Code">For machines.</param>
/// <param name="Message">For people.</param>
public sealed record JobError(string Code, string Message);

/// <param name="Due">Jobs that a worker could start now, but for caps.</param>
/// <param name="Running">Jobs that workers run.</param>
/// <param name="OldestSeconds">For how long the oldest of those that are due has been; 0: there is none.</param>
public sealed record QueueDepth(long Due, long Running, double OldestSeconds);

/// <param name="Id">The job.</param>
/// <param name="State"><see cref="JobState.Retryable"/> or <see cref="JobState.Failed"/>.</param>
public sealed record RescuedJob(Guid Id, JobState State);
