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
    public async Task<Job> EnqueueAsync(Guid tenantId, string type, string? promptKey, string args, CancellationToken cancellationToken)
    {
        var submission = await SubmitAsync(
            tenantId, [new NewJob(type, promptKey, args)], null, (_, _, _) => Task.CompletedTask, cancellationToken);
        return submission is Submission.Accepted accepted
            ? accepted.Jobs[0]
            : throw new InvalidOperationException("The tenant has as many waiting jobs as it may.");
    }

    /// <summary>
    /// Stores all of the jobs or none; when this returns <see cref="Submission.Accepted"/>, they are committed, and with them what
    /// <paramref name="also"/> writes about those that are new. With a <paramref name="request"/> the same submission again is none.
    /// </summary>
    public async Task<Submission> SubmitAsync(
        Guid tenantId,
        IReadOnlyList<NewJob> jobs,
        JobRequest? request,
        Func<ValueCanvasDbContext, IReadOnlyList<Job>, CancellationToken, Task> also,
        CancellationToken cancellationToken)
    {
        // 1. The attempts continue the trace of this request.
        var members = FamilyMember.Of(jobs, _time.GetUtcNow());
        using var activity = JobTracing.StartSend(members.Count == 1 ? jobs[0].Type : null, members.Count);
        var context = activity ?? Activity.Current;
        var ids = members.Select(member => member.Id).ToArray();
        if (ids is [var only])
            activity?.SetTag("messaging.message.id", only.ToString());

        // 2. Commit, or nothing at all: what refuses has written nothing but the key, which goes with the transaction.
        Submission submission;
        try
        {
            submission = await _database.WriteAsync(
                tenantId, (db, ct) => StoreAsync(db, tenantId, members, ids, request, context, also, ct), cancellationToken);
        }
        catch (RefusedException refused)
        {
            return refused.Submission;
        }

        // 3. Only now may anybody hear of it.
        if (submission is Submission.Accepted accepted && accepted.Jobs.Count > accepted.Kept.Count)
        {
            foreach (var job in accepted.Jobs.Where(job => !accepted.Kept.Contains(job.Id)))
                _metrics.Enqueued(job.Type);
            await _signal.PublishAsync();
        }

        return submission;
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

    private static async Task<Submission> StoreAsync(
        ValueCanvasDbContext db,
        Guid tenantId,
        IReadOnlyList<FamilyMember> members,
        Guid[] ids,
        JobRequest? request,
        Activity? context,
        Func<ValueCanvasDbContext, IReadOnlyList<Job>, CancellationToken, Task> also,
        CancellationToken cancellationToken)
    {
        if (request is not null && await JobSubmission.ReserveKeyAsync(db, tenantId, request, ids, cancellationToken) is { } earlier)
            return earlier;
        if (await JobSubmission.CheckRoomAsync(db, tenantId, members.Count, cancellationToken) is { } full)
            throw new RefusedException(full);

        // Unique keys in one order everywhere, so that two submissions never wait for each other.
        var kept = new Dictionary<Guid, Job>();
        foreach (var (index, member) in members.Index().Where(item => item.Item.Job.UniqueKey is not null)
            .OrderBy(item => item.Item.Job.UniqueKey, StringComparer.Ordinal))
        {
            if (await JobSubmission.FindConflictAsync(db, tenantId, member.Job, cancellationToken) is not { } existing)
                continue;
            if (member.Job.OnConflict != JobConflict.Keep)
                throw new RefusedException(new Submission.NotUnique(index, existing.Id));
            kept[member.Id] = existing;
        }

        if (await JobSubmission.HoldParentsAsync(
            db, tenantId, members.Select(member => member.Job.ParentId).OfType<Guid>(), cancellationToken) is { } orphan)
            throw new RefusedException(orphan);

        // The children of a job that was there before were there before, too.
        var rows = members
            .Where(member => member.Parent is not { } parent || !kept.ContainsKey(parent))
            .Select(member => kept.GetValueOrDefault(member.Id)
                ?? JobSubmission.ToRow(member.Id, tenantId, member.Job, context, member.Parent))
            .ToArray();
        var there = kept.Values.Select(job => job.Id).ToHashSet();
        var added = rows.Where(row => !there.Contains(row.Id)).ToArray();
        db.AddRange(added);
        if (request is not null && kept.Count > 0)
            await JobSubmission.AmendKeyAsync(db, tenantId, request, [.. rows.Select(row => row.Id)], cancellationToken);
        await also(db, added, cancellationToken);
        return new Submission.Accepted(rows, there);
    }

    /// <summary>A job of a submission: one by itself, a parent, or after it a child.</summary>
    private sealed record FamilyMember(Guid Id, NewJob Job, Guid? Parent)
    {
        public static List<FamilyMember> Of(IReadOnlyList<NewJob> jobs, DateTimeOffset now)
        {
            List<FamilyMember> members = [];
            foreach (var job in jobs)
            {
                var id = Guid.CreateVersion7(now);
                members.Add(new(id, job, null));
                members.AddRange(job.Children.Select(child => new FamilyMember(Guid.CreateVersion7(now), child, id)));
            }

            return members;
        }
    }

    /// <summary>Takes the transaction back, key and all.</summary>
    private sealed class RefusedException(Submission submission) : Exception
    {
        public Submission Submission => submission;
    }

    private sealed record StateRow(string State, long Count, double? WaitSeconds);
}

/// <param name="Job">The job.</param>
/// <param name="Result">JSON; null until the job succeeded.</param>
public sealed record JobWithResult(Job Job, string? Result);

/// <param name="ByState">Every state, also those with no job.</param>
/// <param name="OldestWait">How long the longest-waiting job that may run has been waiting; null when none waits.</param>
public sealed record JobCounts(IReadOnlyDictionary<JobState, long> ByState, TimeSpan? OldestWait);
