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
    /// <summary>
    /// Takes up to <paramref name="limit"/> due jobs of any tenant, first by priority, then by time. Each is this worker's for
    /// <paramref name="lease"/>, unless it renews.
    /// </summary>
    public async Task<IReadOnlyList<Job>> ClaimAsync(string workerId, int limit, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var scope = scopes.CreateAsyncScope();
        return await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Set<Job>()
            .FromSql($"SELECT * FROM claim_llm_jobs({workerId}, {limit}, {lease})")
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
    /// Commits success, the <paramref name="result"/> (JSON), and what the job changed, or nothing at all. <paramref name="changes"/>
    /// adds to the context what the job made; it may be called again after a lost connection.
    /// </summary>
    public Task<bool> CompleteAsync(Job job, string result, Action<ValueCanvasDbContext>? changes, CancellationToken cancellationToken) =>
        database.ExecuteAsync(
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
                changes?.Invoke(db);
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

    private Task<bool> UpdateAsync(Job job, FormattableString sql, CancellationToken cancellationToken) =>
        database.ExecuteAsync(job.TenantId, async (db, ct) => await db.Database.ExecuteSqlAsync(sql, ct) > 0, cancellationToken);

    private sealed record RescuedRow(Guid Id, string State);
}

/// <summary>Why an attempt failed, as the submitter sees it: no prompt, no secret.</summary>
/// <param name="Code">For machines.</param>
/// <param name="Message">For people.</param>
public sealed record JobError(string Code, string Message);

/// <param name="Id">The job.</param>
/// <param name="State"><see cref="JobState.Retryable"/> or <see cref="JobState.Failed"/>.</param>
public sealed record RescuedJob(Guid Id, JobState State);
