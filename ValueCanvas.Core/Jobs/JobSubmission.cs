using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Jobs;

/// <summary>The statements of a submission, within its transaction.</summary>
internal static class JobSubmission
{
    /// <summary>Null where the key is new, and from now on this submission's.</summary>
    public static async Task<Submission?> ReserveKeyAsync(
        ValueCanvasDbContext db, Guid tenantId, JobRequest request, Guid[] ids, CancellationToken cancellationToken)
    {
        // Two at the same time: the second waits here until the first has committed.
        var reserved = await db.Database.ExecuteSqlAsync(
            $"""
             INSERT INTO llm_job_requests AS r (tenant_id, key, fingerprint, job_ids)
             VALUES ({tenantId}, {request.Key}, {request.Fingerprint}, {ids})
             ON CONFLICT (tenant_id, key) DO UPDATE
             SET fingerprint = excluded.fingerprint, job_ids = excluded.job_ids, created_at = clock_timestamp()
             WHERE r.created_at < clock_timestamp() - interval '24 hours'
             """,
            cancellationToken);
        if (reserved > 0)
            return null;

        var earlier = await db.Database
            .SqlQuery<EarlierRow>(
                $"""
                 SELECT fingerprint AS "Fingerprint", job_ids AS "JobIds" FROM llm_job_requests
                 WHERE tenant_id = {tenantId} AND key = {request.Key}
                 """)
            .SingleAsync(cancellationToken);
        if (!earlier.Fingerprint.AsSpan().SequenceEqual(request.Fingerprint))
            return new Submission.KeyReused();
        var jobs = await db.Set<Job>().AsNoTracking().Where(job => earlier.JobIds.Contains(job.Id)).ToListAsync(cancellationToken);
        return new Submission.Replayed([.. jobs.OrderBy(job => Array.IndexOf(earlier.JobIds, job.Id))]);
    }

    /// <summary>Tells which jobs the key stands for, where some were there before.</summary>
    public static Task AmendKeyAsync(
        ValueCanvasDbContext db, Guid tenantId, JobRequest request, Guid[] ids, CancellationToken cancellationToken) =>
        db.Database.ExecuteSqlAsync(
            $"UPDATE llm_job_requests SET job_ids = {ids} WHERE tenant_id = {tenantId} AND key = {request.Key}", cancellationToken);

    /// <summary>Null where there is room for that many more.</summary>
    public static async Task<Submission?> CheckRoomAsync(
        ValueCanvasDbContext db, Guid tenantId, int more, CancellationToken cancellationToken)
    {
        var full = await db.Database
            .SqlQuery<int?>(
                $"""
                 SELECT (SELECT l.max_waiting FROM llm_job_limits l
                         WHERE l.tenant_id = {tenantId} AND l.max_waiting < {more} + (
                             SELECT count(*) FROM (
                                 SELECT FROM llm_jobs j
                                 WHERE j.tenant_id = {tenantId} AND j.state IN ('queued', 'retryable') LIMIT l.max_waiting) AS waiting))
                        AS "Value"
                 """)
            .SingleAsync(cancellationToken);
        return full is { } most ? new Submission.QueueFull(most) : null;
    }

    /// <summary>
    /// The job that has the unique key, once this transaction alone may give it away; replaced where that is asked and possible.
    /// </summary>
    public static async Task<Job?> FindConflictAsync(
        ValueCanvasDbContext db, Guid tenantId, NewJob job, CancellationToken cancellationToken)
    {
        var name = $"llm_jobs {tenantId} {job.UniqueKey}";
        await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended({name}, 0))", cancellationToken);
        if (job.OnConflict == JobConflict.Replace)
        {
            await db.Database.ExecuteSqlAsync(
                $"""
                 UPDATE llm_jobs
                 SET state = 'cancelled', finished_at = clock_timestamp(),
                     error_code = 'replaced', error_message = 'A newer job with the same unique key took its place.'
                 WHERE tenant_id = {tenantId} AND unique_key = {job.UniqueKey} AND state IN ('queued', 'blocked', 'retryable')
                 """,
                cancellationToken);
        }

        return await db.Set<Job>()
            .FromSql(
                $"""
                 SELECT * FROM llm_jobs
                 WHERE tenant_id = {tenantId} AND unique_key = {job.UniqueKey}
                   AND state IN ('queued', 'blocked', 'running', 'retryable')
                 """)
            .AsNoTracking()
            .SingleOrDefaultAsync(cancellationToken);
    }

    /// <summary>Null where all of the parents wait for children, and go on doing so until this transaction has ended.</summary>
    public static async Task<Submission?> HoldParentsAsync(
        ValueCanvasDbContext db, Guid tenantId, IEnumerable<Guid> parents, CancellationToken cancellationToken)
    {
        foreach (var id in parents.Distinct().Order())
        {
            // As the end of a child locks it: the last one that ends sees the new one, or this sees that it has ended.
            var state = await db.Database
                .SqlQuery<string>(
                    $"""
                     SELECT state AS "Value" FROM llm_jobs WHERE id = {id} AND tenant_id = {tenantId} FOR NO KEY UPDATE
                     """)
                .ToListAsync(cancellationToken);
            if (state is not ["blocked"])
                return new Submission.NoParent(id, state is [var other] ? JobStates.Parse(other) : null);
        }

        return null;
    }

    public static Job ToRow(Guid id, Guid tenantId, NewJob job, Activity? context, Guid? parentId = null) => new()
    {
        Id = id,
        TenantId = tenantId,
        State = job.Children.Count > 0 ? JobState.Blocked : JobState.Queued,
        ParentId = parentId ?? job.ParentId,
        OnChildFailure = job.Children.Count > 0 ? job.OnChildFailure : null,
        Type = job.Type,
        PromptKey = job.PromptKey,
        Args = job.Args,
        Priority = job.Priority,
        RunAt = job.RunAt?.ToUniversalTime() ?? default,
        DeadlineAt = job.DeadlineAt?.ToUniversalTime() ?? job.RunAt?.ToUniversalTime() + NewJob.DefaultLifetime,
        MaxAttempts = job.MaxAttempts,
        UniqueKey = job.UniqueKey,
        RetryOf = job.RetryOf,
        SubmitterId = job.SubmitterId,
        SubmitterKeyId = job.SubmitterKeyId,
        TraceParent = context is { IdFormat: ActivityIdFormat.W3C } ? context.Id : null,
        TraceState = context?.TraceStateString,
    };

    private sealed record EarlierRow(byte[] Fingerprint, Guid[] JobIds);
}
