using Microsoft.EntityFrameworkCore;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Api.Jobs;

/// <summary>
/// What tenants may have of the queue. Claims read it each time, so a change counts from the next one on, at every worker.
/// </summary>
internal sealed class JobLimits(TenantDatabase database)
{
    /// <summary>Null: there is no such tenant.</summary>
    public Task<JobLimitsData?> FindAsync(Guid tenantId, CancellationToken cancellationToken) => database.ExecuteAsync(
        tenantId, (db, ct) => FindAsync(db, tenantId, ct), cancellationToken);

    /// <summary>False: there is no such tenant.</summary>
    public Task<JobLimitsData?> SetAsync(
        Guid tenantId,
        JobLimitsBody limits,
        Func<ValueCanvasDbContext, CancellationToken, Task> also,
        CancellationToken cancellationToken) =>
        database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                await db.Database.ExecuteSqlAsync(
                    $"""
                     INSERT INTO llm_job_limits AS l (tenant_id, weight, max_running, max_waiting)
                     SELECT t.id, {limits.Weight ?? 1}, {limits.MaxRunning}, {limits.MaxWaiting} FROM tenants t WHERE t.id = {tenantId}
                     ON CONFLICT (tenant_id) DO UPDATE
                     SET weight = excluded.weight, max_running = excluded.max_running, max_waiting = excluded.max_waiting,
                         updated_at = clock_timestamp()
                     """,
                    ct);
                await also(db, ct);
                return await FindAsync(db, tenantId, ct);
            },
            cancellationToken);

    public Task<JobLimitsData?> PauseAsync(
        Guid tenantId, bool paused, Func<ValueCanvasDbContext, CancellationToken, Task> also, CancellationToken cancellationToken) =>
        database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                await db.Database.ExecuteSqlAsync(
                    $"""
                     INSERT INTO llm_job_limits AS l (tenant_id, paused)
                     SELECT t.id, {paused} FROM tenants t WHERE t.id = {tenantId}
                     ON CONFLICT (tenant_id) DO UPDATE SET paused = excluded.paused, updated_at = clock_timestamp()
                     """,
                    ct);
                await also(db, ct);
                return await FindAsync(db, tenantId, ct);
            },
            cancellationToken);

    private static Task<JobLimitsData?> FindAsync(ValueCanvasDbContext db, Guid tenantId, CancellationToken cancellationToken) =>
        db.Database
            .SqlQuery<JobLimitsData>(
                $"""
                 SELECT coalesce(l.weight, 1) AS "Weight", l.max_running AS "MaxRunning", l.max_waiting AS "MaxWaiting",
                        coalesce(l.paused, false) AS "Paused"
                 FROM tenants t LEFT JOIN llm_job_limits l ON l.tenant_id = t.id
                 WHERE t.id = {tenantId}
                 """)
            .SingleOrDefaultAsync(cancellationToken);
}

/// <summary>
/// The tenant's share of the workers when several wait (3 gets three times as much as 1), how many of its jobs may run and wait at the same
/// time (null: any number), and whether none is started at present.
/// </summary>
internal sealed record JobLimitsData(int Weight, int? MaxRunning, int? MaxWaiting, bool Paused);

/// <summary>Body of <c>PUT /api/admin/queue/{tenantId}</c>; what is left out is 1, or no limit.</summary>
internal sealed record JobLimitsBody(int? Weight, int? MaxRunning, int? MaxWaiting) : IRequestBody
{
    private const int MostWeight = 1000;

    public void Validate(RequestErrors errors)
    {
        if (Weight is < 1 or > MostWeight)
            errors.Add("weight", $"must be between 1 and {MostWeight}");
        if (MaxRunning < 1)
            errors.Add("maxRunning", "must be at least 1; pausing is another matter");
        if (MaxWaiting < 1)
            errors.Add("maxWaiting", "must be at least 1");
    }
}
