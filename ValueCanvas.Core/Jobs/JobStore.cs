using System.Diagnostics;
using System.Globalization;
using Microsoft.EntityFrameworkCore;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs.Submissions;

namespace ValueCanvas.Core.Jobs;

/// <summary>What a tenant does with the queue: submit jobs and look at its own. <see cref="JobLeases"/> is the workers' side.</summary>
public sealed class JobStore
{
    private readonly TenantDatabase _database;
    private readonly SubmissionGroups _submissions;
    private readonly JobMetrics _metrics;
    private readonly TimeProvider _time;

    internal JobStore(TenantDatabase database, SubmissionGroups submissions, JobMetrics metrics, TimeProvider time)
    {
        _database = database;
        _submissions = submissions;
        _metrics = metrics;
        _time = time;
    }

    /// <summary>
    /// Stores a job, to be run as soon as a worker is free; when this returns, it is committed. <paramref name="type"/> is one of
    /// <see cref="JobTypes"/>, <paramref name="args"/> a JSON object that has been validated for it.
    /// </summary>
    public async Task<Job> EnqueueAsync(Guid tenantId, string type, string? promptKey, string args, CancellationToken cancellationToken)
    {
        var submission = await SubmitAsync(tenantId, [new NewJob(type, promptKey, args)], null, null, cancellationToken);
        return submission is Submission.Accepted accepted
            ? accepted.Jobs[0]
            : throw new InvalidOperationException("The tenant has as many waiting jobs as it may.");
    }

    /// <summary>
    /// Stores all of the jobs or none; when this returns <see cref="Submission.Accepted"/>, they are committed, and with them what
    /// <paramref name="note"/> makes of those that are new. With a <paramref name="request"/> the same submission again is none. Those of
    /// several callers are committed together.
    /// </summary>
    public async Task<Submission> SubmitAsync(
        Guid tenantId,
        IReadOnlyList<NewJob> jobs,
        JobRequest? request,
        Func<Guid, NewJob, JobNote>? note,
        CancellationToken cancellationToken)
    {
        // 1. The attempts continue the trace of this request.
        var members = SubmittedJob.Of(jobs, _time.GetUtcNow());
        using var activity = JobTracing.StartSend(members.Count == 1 ? jobs[0].Type : null, members.Count);
        var context = activity ?? Activity.Current;
        if (members is [var only])
            activity?.SetTag("messaging.message.id", only.Id.ToString());
        var trace = new TraceContext(context is { IdFormat: ActivityIdFormat.W3C } ? context.Id : null, context?.TraceStateString);

        // 2. Commit, or nothing at all.
        var notes = note is null ? [] : members.Select(member => note(member.Id, member.New)).ToArray();
        var pending = new PendingSubmission(tenantId, members, request, notes, trace, cancellationToken);
        var stored = await _submissions.SubmitAsync(pending, cancellationToken);

        // 3. Only now may anybody hear of it.
        var outcome = await ToOutcomeAsync(pending, stored, cancellationToken);
        if (outcome is Submission.Accepted accepted)
        {
            foreach (var job in accepted.Jobs)
            {
                if (!accepted.Kept.Contains(job.Id))
                    _metrics.Enqueued(job.Type);
            }
        }

        return outcome;
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
    /// The tenant's jobs, newest first: at most <paramref name="limit"/>, only those that fit the <paramref name="filter"/>, from the one
    /// after <paramref name="after"/> on when given. Null when <paramref name="after"/> is not one of the tenant's jobs.
    /// </summary>
    public Task<IReadOnlyList<Job>?> ListAsync(
        Guid tenantId,
        JobFilter filter,
        Guid? after,
        int limit,
        CancellationToken cancellationToken) =>
        _database.ExecuteAsync<IReadOnlyList<Job>?>(
            tenantId,
            async (db, ct) =>
            {
                var jobs = filter.Apply(db.Set<Job>().AsNoTracking(), db);
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

    /// <summary>How many children a job has in which state; those that were removed do not count.</summary>
    public Task<IReadOnlyDictionary<JobState, long>> CountChildrenAsync(
        Guid tenantId, Guid parentId, CancellationToken cancellationToken) =>
        _database.ExecuteAsync(
            tenantId,
            async (db, ct) => (IReadOnlyDictionary<JobState, long>)await db.Set<Job>()
                .Where(job => job.ParentId == parentId)
                .GroupBy(job => job.State)
                .Select(group => new { State = group.Key, Count = group.LongCount() })
                .ToDictionaryAsync(row => row.State, row => row.Count, ct),
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

    private async Task<Submission> ToOutcomeAsync(
        PendingSubmission pending, StoredSubmission stored, CancellationToken cancellationToken)
    {
        switch (stored.Outcome)
        {
            case StoredSubmission.Accepted or StoredSubmission.Stored:
                var own = pending.Jobs.ToDictionary(job => job.Id);
                var kept = stored.Jobs.Where(id => !own.ContainsKey(id)).ToHashSet();
                // What another attempt has stored, or another submission, may have gone on since.
                var there = stored.Outcome == StoredSubmission.Stored || kept.Count > 0
                    ? await FindAllAsync(pending.TenantId, stored.Jobs, cancellationToken)
                    : [];
                return new Submission.Accepted(
                    [
                        .. stored.Jobs
                            .Select(id => there.GetValueOrDefault(id)
                                ?? own.GetValueOrDefault(id)?.ToJob(pending.TenantId, pending.Trace, stored.Present))
                            .OfType<Job>(),
                    ],
                    kept);
            case StoredSubmission.Replayed:
                var earlier = await FindAllAsync(pending.TenantId, stored.Jobs, cancellationToken);
                return new Submission.Replayed([.. stored.Jobs.Select(id => earlier.GetValueOrDefault(id)).OfType<Job>()]);
            case StoredSubmission.KeyReused:
                return new Submission.KeyReused();
            case StoredSubmission.NotUnique:
                return new Submission.NotUnique(int.Parse(stored.Detail!, CultureInfo.InvariantCulture), stored.Jobs[0]);
            case StoredSubmission.NoParent:
                return new Submission.NoParent(stored.Jobs[0], stored.Detail is { } state ? JobStates.Parse(state) : null);
            case StoredSubmission.QueueFull:
                return new Submission.QueueFull(int.Parse(stored.Detail!, CultureInfo.InvariantCulture));
            default:
                throw new InvalidOperationException($"submit_llm_jobs said {stored.Outcome}.");
        }
    }

    private Task<Dictionary<Guid, Job>> FindAllAsync(Guid tenantId, Guid[] ids, CancellationToken cancellationToken) =>
        _database.ExecuteAsync(
            tenantId,
            (db, ct) => db.Set<Job>().AsNoTracking().Where(job => ids.Contains(job.Id)).ToDictionaryAsync(job => job.Id, ct),
            cancellationToken);

    private sealed record StateRow(string State, long Count, double? WaitSeconds);
}

/// <param name="Job">The job.</param>
/// <param name="Result">JSON; null until the job succeeded.</param>
public sealed record JobWithResult(Job Job, string? Result);

/// <param name="ByState">Every state, also those with no job.</param>
/// <param name="OldestWait">How long the longest-waiting job that may run has been waiting; null when none waits.</param>
public sealed record JobCounts(IReadOnlyDictionary<JobState, long> ByState, TimeSpan? OldestWait);
