using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Jobs.Submissions;

namespace ValueCanvas.Api.Jobs;

/// <summary>What a tenant does with jobs that there are: calls them off, does them again, removes them.</summary>
internal sealed class JobControl(TenantDatabase database, JobStore jobs)
{
    /// <summary>
    /// Calls a job off, and with a parent its children. A worker that runs it learns so within a second and hangs up on the model; whatever
    /// it makes until then is refused.
    /// </summary>
    /// <returns>Null: there is no such job. Not cancelled: it had ended.</returns>
    public Task<Job?> CancelAsync(
        Guid tenantId, Guid id, Func<ValueCanvasDbContext, CancellationToken, Task> also, CancellationToken cancellationToken) =>
        database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var cancelled = await db.Database.ExecuteSqlAsync(
                    $"""
                     UPDATE llm_jobs
                     SET state = 'cancelled', finished_at = clock_timestamp(), lease_expires_at = NULL,
                         error_code = 'cancelled', error_message = 'The job was called off.'
                     WHERE id = {id} AND state IN ('queued', 'blocked', 'running', 'retryable')
                     """,
                    ct);
                if (cancelled > 0)
                    await also(db, ct);
                return await db.Set<Job>().AsNoTracking().SingleOrDefaultAsync(job => job.Id == id, ct);
            },
            cancellationToken);

    /// <summary>
    /// Submits jobs that have ended once more, each by itself, as a new job that names the old one; those that have not ended are left out.
    /// </summary>
    public async Task<Submission> RetryAsync(
        Guid tenantId,
        IReadOnlyList<Job> ended,
        Guid submitterId,
        Guid? submitterKeyId,
        JobRequest? request,
        Func<Guid, NewJob, JobNote> note,
        CancellationToken cancellationToken) =>
        await jobs.SubmitAsync(
            tenantId,
            [
                .. ended.Select(job => new NewJob(job.Type, job.PromptKey, job.Args)
                {
                    Priority = job.Priority,
                    MaxAttempts = job.MaxAttempts,
                    RetryOf = job.Id,
                    SubmitterId = submitterId,
                    SubmitterKeyId = submitterKeyId,
                }),
            ],
            request,
            note,
            cancellationToken);

    /// <summary>Removes dead letters, with all that belongs to them; says how many.</summary>
    public Task<int> PurgeAsync(
        Guid tenantId,
        JobFilter filter,
        Func<ValueCanvasDbContext, int, CancellationToken, Task> also,
        CancellationToken cancellationToken) =>
        database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var everyType = filter.Type is null;
                var everyCode = filter.ErrorCode is null;
                var everyId = filter.Ids is null;
                var ids = filter.Ids?.ToArray() ?? [];
                var removed = await db.Database.ExecuteSqlAsync(
                    $"""
                     DELETE FROM llm_jobs j
                     WHERE j.tenant_id = {tenantId} AND j.state = 'failed'
                       AND ({everyType} OR j.type = {filter.Type ?? ""})
                       AND ({everyCode} OR j.error_code = {filter.ErrorCode ?? ""})
                       AND ({everyId} OR j.id = ANY ({ids}))
                       AND NOT EXISTS (SELECT FROM llm_jobs again WHERE again.retry_of = j.id)
                     """,
                    ct);
                if (removed > 0)
                    await also(db, removed, ct);
                return removed;
            },
            cancellationToken);

    /// <summary>What happened to a job, in order.</summary>
    public Task<List<JobEventRow>> HistoryAsync(Guid tenantId, Guid id, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        (db, ct) => db.Database
            .SqlQuery<JobEventRow>(
                $"""
                 SELECT event AS "Event", state AS "State", attempt AS "Attempt", run_lease AS "RunLease", at AS "At",
                        error_code AS "ErrorCode"
                 FROM llm_job_events WHERE tenant_id = {tenantId} AND job_id = {id} ORDER BY id
                 """)
            .ToListAsync(ct),
        cancellationToken);
}

internal sealed record JobEventRow(string Event, string State, int Attempt, long RunLease, DateTimeOffset At, string? ErrorCode);
