using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Jobs;

/// <summary>What a tenant does with the queue: submit jobs and look at its own. <see cref="JobLeases"/> is the workers' side.</summary>
public sealed class JobStore
{
    private readonly TenantDatabase _database;
    private readonly JobSignal _signal;
    private readonly JobMetrics _metrics;
    private readonly TimeProvider _time;

    internal JobStore(TenantDatabase database, JobSignal signal, JobMetrics metrics, TimeProvider time)
    {
        _database = database;
        _signal = signal;
        _metrics = metrics;
        _time = time;
    }

    /// <summary>
    /// Stores a job, to be run as soon as a worker is free; when this returns, it is committed. <paramref name="type"/> is one of
    /// <see cref="JobTypes"/>, <paramref name="args"/> a JSON object that has been validated for it.
    /// </summary>
    public Task<Job> EnqueueAsync(Guid tenantId, string type, string? promptKey, string args, CancellationToken cancellationToken) =>
        EnqueueAsync(tenantId, type, promptKey, args, (_, _, _) => Task.CompletedTask, cancellationToken);

    /// <summary>The same, and in the same transaction <paramref name="also"/>, which gets the job's id.</summary>
    public async Task<Job> EnqueueAsync(
        Guid tenantId,
        string type,
        string? promptKey,
        string args,
        Func<ValueCanvasDbContext, Guid, CancellationToken, Task> also,
        CancellationToken cancellationToken)
    {
        // 1. The attempts continue the trace of this request.
        using var activity = JobTracing.StartSend(type);
        var context = activity ?? Activity.Current;
        var id = Guid.CreateVersion7(_time.GetUtcNow());
        activity?.SetTag("messaging.message.id", id.ToString());

        // 2. Commit.
        var job = await _database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var added = new Job
                {
                    Id = id,
                    TenantId = tenantId,
                    Type = type,
                    PromptKey = promptKey,
                    Args = args,
                    TraceParent = context is { IdFormat: ActivityIdFormat.W3C } ? context.Id : null,
                    TraceState = context?.TraceStateString,
                };
                db.Add(added);
                await also(db, id, ct);
                return added;
            },
            cancellationToken);

        // 3. Only now may anybody hear of it.
        _metrics.Enqueued(type);
        await _signal.PublishAsync();
        return job;
    }

    /// <summary>The job and, once it succeeded, its result as JSON; null when the tenant has no such job.</summary>
    public Task<JobWithResult?> FindAsync(Guid tenantId, Guid id, CancellationToken cancellationToken) =>
        _database.ExecuteAsync(
            tenantId,
            (db, ct) => db.Set<Job>()
                .AsNoTracking()
                .Where(job => job.Id == id)
                .Select(job => new JobWithResult(
                    job,
                    db.Set<JobResult>().Where(result => result.JobId == job.Id).Select(result => result.Result).FirstOrDefault()))
                .SingleOrDefaultAsync(ct),
            cancellationToken);

    /// <summary>
    /// The tenant's jobs, newest first: at most <paramref name="limit"/>, only those in <paramref name="state"/> when given, from the one
    /// after <paramref name="after"/> on when given. Null when <paramref name="after"/> is not one of the tenant's jobs.
    /// </summary>
    public Task<IReadOnlyList<Job>?> ListAsync(
        Guid tenantId,
        JobState? state,
        Guid? after,
        int limit,
        CancellationToken cancellationToken) =>
        _database.ExecuteAsync<IReadOnlyList<Job>?>(
            tenantId,
            async (db, ct) =>
            {
                var jobs = db.Set<Job>().AsNoTracking();
                if (state is not null)
                    jobs = jobs.Where(job => job.State == state);
                if (after is not null)
                {
                    var last = await db.Set<Job>()
                        .Where(job => job.Id == after)
                        .Select(job => (DateTimeOffset?)job.CreatedAt)
                        .SingleOrDefaultAsync(ct);
                    if (last is null)
                        return null;
                    jobs = jobs.Where(job => EF.Functions.LessThan(
                        ValueTuple.Create(job.CreatedAt, job.Id),
                        ValueTuple.Create(last.Value, after.Value)));
                }

                return await jobs.OrderByDescending(job => job.CreatedAt).ThenByDescending(job => job.Id).Take(limit).ToListAsync(ct);
            },
            cancellationToken);

    /// <summary>How many of the tenant's jobs are in which state, and how long the first due one has been waiting.</summary>
    public Task<JobCounts> CountAsync(Guid tenantId, CancellationToken cancellationToken) =>
        _database.ExecuteAsync(
            tenantId,
            async (db, ct) =>
            {
                var rows = await db.Database
                    .SqlQuery<StateRow>(
                        $"""
                         SELECT state AS "State",
                                count(*) AS "Count",
                                max(extract(epoch FROM clock_timestamp() - run_at))
                                    FILTER (WHERE state IN ('queued', 'retryable') AND run_at <= clock_timestamp())::float8 AS "WaitSeconds"
                         FROM llm_jobs
                         WHERE tenant_id = {tenantId}
                         GROUP BY state
                         """)
                    .ToListAsync(ct);
                var counts = rows.ToDictionary(row => JobStates.Parse(row.State), row => row.Count);
                return new JobCounts(
                    Enum.GetValues<JobState>().ToDictionary(state => state, state => counts.GetValueOrDefault(state)),
                    rows.Max(row => row.WaitSeconds) is { } seconds ? TimeSpan.FromSeconds(seconds) : null);
            },
            cancellationToken);

    private sealed record StateRow(string State, long Count, double? WaitSeconds);
}

/// <param name="Job">The job.</param>
/// <param name="Result">JSON; null until the job succeeded.</param>
public sealed record JobWithResult(Job Job, string? Result);

/// <param name="ByState">Every state, also those with no job.</param>
/// <param name="OldestWait">How long the longest-waiting job that may run has been waiting; null when none waits.</param>
public sealed record JobCounts(IReadOnlyDictionary<JobState, long> ByState, TimeSpan? OldestWait);
