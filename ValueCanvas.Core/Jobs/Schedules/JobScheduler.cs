using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs.Submissions;

namespace ValueCanvas.Core.Jobs.Schedules;

/// <summary>Submits the jobs of schedules whose time has come; safe in any number of processes at the same time.</summary>
public sealed class JobScheduler(IServiceScopeFactory scopes, TenantDatabase database, JobSignal signal)
{
    private const int MostAtOnce = 100;

    /// <summary>
    /// Says how many jobs were submitted. Times that passed while nobody looked are made up for by one job; a time at which the job of the
    /// one before has not ended is left out.
    /// </summary>
    public async Task<int> RunOnceAsync(CancellationToken cancellationToken)
    {
        List<DueRow> due;
        await using (var scope = scopes.CreateAsyncScope())
        {
            due = await scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>().Database
                .SqlQuery<DueRow>(
                    $"""SELECT id AS "Id", tenant_id AS "TenantId", present AS "Present" FROM due_llm_job_schedules({MostAtOnce})""")
                .ToListAsync(cancellationToken);
        }

        var submitted = 0;
        foreach (var row in due)
        {
            if (await SubmitAsync(row, cancellationToken))
                submitted++;
        }

        if (submitted > 0)
            await signal.PublishAsync();
        return submitted;
    }

    private Task<bool> SubmitAsync(DueRow due, CancellationToken cancellationToken) => database.ExecuteAsync(
        due.TenantId,
        async (db, ct) =>
        {
            // The row's lock decides between two schedulers: who comes second finds another time in it.
            var schedule = await db.Set<JobSchedule>()
                .FromSql(
                    $"""
                     SELECT * FROM llm_job_schedules
                     WHERE id = {due.Id} AND enabled AND next_at <= {due.Present} FOR UPDATE SKIP LOCKED
                     """)
                .SingleOrDefaultAsync(ct);
            if (schedule?.NextAt is not { } time)
                return false;

            schedule.LastAt = time;
            schedule.NextAt = CronExpression.TryParse(schedule.Cron, out var cron)
                && TimeZoneInfo.TryFindSystemTimeZoneById(schedule.TimeZone, out var zone) ? cron.Next(due.Present, zone) : null;
            var job = new NewJob(schedule.Type, schedule.PromptKey, schedule.Args)
            {
                Priority = schedule.Priority,
                MaxAttempts = schedule.MaxAttempts,
                UniqueKey = $"schedule {schedule.Id}",
                SubmitterId = schedule.SubmitterId,
                SubmitterKeyId = schedule.SubmitterKeyId,
            };
            if (await IsWaitedForAsync(db, schedule.TenantId, job.UniqueKey, ct))
                return false;
            db.Add(new SubmittedJob(Guid.CreateVersion7(due.Present), job, null).ToJob(schedule.TenantId, default, due.Present));
            return true;
        },
        cancellationToken);

    /// <summary>Whether a job that has not ended has the key, once this transaction alone may give it away.</summary>
    private static async Task<bool> IsWaitedForAsync(
        ValueCanvasDbContext db, Guid tenantId, string uniqueKey, CancellationToken cancellationToken)
    {
        // As submit_llm_jobs locks it.
        var name = $"llm_jobs {tenantId} {uniqueKey}";
        await db.Database.ExecuteSqlAsync($"SELECT pg_advisory_xact_lock(hashtextextended({name}, 0))", cancellationToken);
        return await db.Set<Job>().AnyAsync(
            job => job.TenantId == tenantId && job.UniqueKey == uniqueKey
                && (job.State == JobState.Queued || job.State == JobState.Blocked || job.State == JobState.Running
                    || job.State == JobState.Retryable),
            cancellationToken);
    }

    private sealed record DueRow(Guid Id, Guid TenantId, DateTimeOffset Present);
}
