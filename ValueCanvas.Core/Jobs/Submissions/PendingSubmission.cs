namespace ValueCanvas.Core.Jobs.Submissions;

/// <summary>Jobs of one tenant on their way to be stored, all or none.</summary>
internal sealed class PendingSubmission(
    Guid tenantId,
    IReadOnlyList<SubmittedJob> jobs,
    JobRequest? request,
    IReadOnlyList<JobNote> notes,
    TraceContext trace,
    CancellationToken cancelled)
{
    private readonly TaskCompletionSource<StoredSubmission?> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Guid TenantId { get; } = tenantId;

    /// <summary>Each parent before its children.</summary>
    public IReadOnlyList<SubmittedJob> Jobs { get; } = jobs;

    public JobRequest? Request { get; } = request;

    public IReadOnlyList<JobNote> Notes { get; } = notes;

    public TraceContext Trace { get; } = trace;

    /// <summary>What a statement carries for it.</summary>
    public long Characters { get; } = jobs.Sum(job => (long)job.New.Args.Length);

    /// <summary>It locks rows that others may hold, and wait for: a group must not.</summary>
    public bool IsForItself { get; } = jobs.Any(job => job.New.ParentId is not null || job.New.OnConflict == JobConflict.Replace);

    /// <summary>Nobody waits for it any more.</summary>
    public bool IsGivenUp => cancelled.IsCancellationRequested;

    /// <summary>The turn of a group that it was in, which may have stored it.</summary>
    public long? Before { get; set; }

    /// <summary>Null: it is to be stored by itself.</summary>
    public Task<StoredSubmission?> Done => _done.Task;

    public void Set(StoredSubmission? stored) => _done.SetResult(stored);

    public void Fail(Exception exception) => _done.SetException(exception);
}

/// <summary>A job of a submission: one by itself, a parent, or after it a child.</summary>
/// <param name="Id">The job's, made here: a statement that runs twice stores it once.</param>
/// <param name="New">What is wanted.</param>
/// <param name="Parent">Of a child that comes with its parent.</param>
internal sealed record SubmittedJob(Guid Id, NewJob New, Guid? Parent)
{
    public Guid? ParentId => Parent ?? New.ParentId;

    public JobState State => New.Children.Count > 0 ? JobState.Blocked : JobState.Queued;

    public string? OnChildFailure => New.Children.Count > 0 ? New.OnChildFailure : null;

    public DateTimeOffset? RunAt => New.RunAt?.ToUniversalTime();

    /// <summary>Null: counted from the submission on.</summary>
    public DateTimeOffset? DeadlineAt => New.DeadlineAt?.ToUniversalTime() ?? RunAt + NewJob.DefaultLifetime;

    public static List<SubmittedJob> Of(IReadOnlyList<NewJob> jobs, DateTimeOffset now)
    {
        List<SubmittedJob> members = new(jobs.Count);
        foreach (var job in jobs)
        {
            var id = Guid.CreateVersion7(now);
            members.Add(new(id, job, null));
            members.AddRange(job.Children.Select(child => new SubmittedJob(Guid.CreateVersion7(now), child, id)));
        }

        return members;
    }

    /// <summary>The job as it is right after its submission at <paramref name="present"/>, without a look into the database.</summary>
    public Job ToJob(Guid tenantId, TraceContext trace, DateTimeOffset present) => new()
    {
        Id = Id,
        TenantId = tenantId,
        State = State,
        ParentId = ParentId,
        OnChildFailure = OnChildFailure,
        Type = New.Type,
        PromptKey = New.PromptKey,
        Args = New.Args,
        Priority = New.Priority,
        RunAt = RunAt ?? present,
        DeadlineAt = DeadlineAt ?? present + NewJob.DefaultLifetime,
        MaxAttempts = New.MaxAttempts,
        UniqueKey = New.UniqueKey,
        RetryOf = New.RetryOf,
        SubmitterId = New.SubmitterId,
        SubmitterKeyId = New.SubmitterKeyId,
        TraceParent = trace.Parent,
        TraceState = trace.State,
        CreatedAt = present,
    };
}

/// <summary>W3C trace context; null where there is none.</summary>
internal readonly record struct TraceContext(string? Parent, string? State);

/// <summary>What became of a submission, as <c>submit_llm_jobs</c> says it.</summary>
/// <param name="Outcome">One of the names below.</param>
/// <param name="Jobs">The submission's, some of which may have been there before; or the one that is in its way.</param>
/// <param name="Detail">Why it was refused.</param>
/// <param name="Present">The transaction's time, which new jobs have.</param>
internal sealed record StoredSubmission(string Outcome, Guid[] Jobs, string? Detail, DateTimeOffset Present)
{
    public const string Accepted = "accepted";

    /// <summary>Accepted, by an attempt before this one.</summary>
    public const string Stored = "stored";

    public const string Replayed = "replayed";
    public const string KeyReused = "key_reused";
    public const string NotUnique = "not_unique";
    public const string NoParent = "no_parent";
    public const string QueueFull = "queue_full";

    /// <summary>Another transaction has one of its keys at this moment.</summary>
    public const string Busy = "busy";
}
