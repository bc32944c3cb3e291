using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Jobs;

/// <summary>How far running jobs have come, so that the attempt after a lost one need not begin again.</summary>
public sealed class JobCheckpoints(TenantDatabase database)
{
    /// <summary>Stores <paramref name="data"/> (JSON) in the place of the last; <c>false</c>: the job is no longer this worker's.</summary>
    public Task<bool> SaveAsync(Job job, string data, CancellationToken cancellationToken) => database.ExecuteAsync(
        job.TenantId,
        async (db, ct) => await db.Database.ExecuteSqlAsync(
            $"""
             INSERT INTO llm_job_checkpoints AS c (job_id, tenant_id, run_lease, data)
             SELECT j.id, j.tenant_id, j.run_lease, CAST({data} AS json)
             FROM llm_jobs j
             WHERE j.id = {job.Id} AND j.state = 'running' AND j.run_lease = {job.RunLease}
             FOR SHARE
             ON CONFLICT (job_id) DO UPDATE
             SET run_lease = excluded.run_lease, data = excluded.data, updated_at = clock_timestamp()
             """,
            ct) > 0,
        cancellationToken);

    /// <summary>The last one, whichever attempt made it; null where there is none.</summary>
    public Task<JobCheckpoint?> FindAsync(Guid tenantId, Guid jobId, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId,
        (db, ct) => db.Database
            .SqlQuery<JobCheckpoint>(
                $"""
                 SELECT run_lease AS "RunLease", data::text AS "Data" FROM llm_job_checkpoints
                 WHERE tenant_id = {tenantId} AND job_id = {jobId}
                 """)
            .SingleOrDefaultAsync(ct),
        cancellationToken);
}

/// <param name="RunLease">The lease under which it was stored.</param>
/// <param name="Data">JSON; what is in it depends on the job's type.</param>
public sealed record JobCheckpoint(long RunLease, string Data);
