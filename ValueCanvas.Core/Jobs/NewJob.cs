namespace ValueCanvas.Core.Jobs;

/// <summary>A job to submit.</summary>
/// <param name="Type">One of <see cref="JobTypes"/>.</param>
/// <param name="PromptKey">The prompt that it renders; null where its type takes none.</param>
/// <param name="Args">JSON object that has passed <see cref="JobInput.Validate"/>.</param>
public sealed record NewJob(string Type, string? PromptKey, string Args)
{
    public static readonly TimeSpan DefaultLifetime = TimeSpan.FromHours(24);

    /// <summary>1 (first) to 5 (last).</summary>
    public short Priority { get; init; } = 3;

    /// <summary>Not started before; null: at once.</summary>
    public DateTimeOffset? RunAt { get; init; }

    /// <summary>Failed when not done by then; null: <see cref="DefaultLifetime"/> after it may first run.</summary>
    public DateTimeOffset? DeadlineAt { get; init; }

    public int MaxAttempts { get; init; } = Job.DefaultMaxAttempts;

    /// <summary>Of the tenant's jobs that have not ended only one has it; null: any number.</summary>
    public string? UniqueKey { get; init; }

    /// <summary>What happens where there is such a job.</summary>
    public JobConflict OnConflict { get; init; }

    public Guid? RetryOf { get; init; }

    /// <summary>A job that was submitted with children and still waits for them; this one is one more.</summary>
    public Guid? ParentId { get; init; }

    /// <summary>Jobs that must end before this one starts; they have no children of their own, no parent, and no unique key.</summary>
    public IReadOnlyList<NewJob> Children { get; init; } = [];

    /// <summary>What becomes of this one where one of them does not succeed.</summary>
    public string OnChildFailure { get; init; } = ChildFailures.Fail;

    public Guid? SubmitterId { get; init; }

    public Guid? SubmitterKeyId { get; init; }
}

/// <summary>What becomes of a submission whose unique key a job has already that has not ended.</summary>
public enum JobConflict
{
    /// <summary>That job is the answer.</summary>
    Keep,

    /// <summary>Nothing is submitted.</summary>
    Reject,

    /// <summary>That job is called off, where it has not begun; else nothing is submitted.</summary>
    Replace,
}

/// <summary>What a parent does when a child fails or is called off; the names in the database and on the wire.</summary>
public static class ChildFailures
{
    /// <summary>It fails at once, and the other children are called off.</summary>
    public const string Fail = "fail";

    /// <summary>It is called off at once, and the other children are, too.</summary>
    public const string Cancel = "cancel";

    /// <summary>It starts when all have ended, however they did.</summary>
    public const string Continue = "continue";

    public static readonly IReadOnlyList<string> All = [Fail, Cancel, Continue];
}

/// <summary>Makes a submission count once: the same key again gets the same jobs.</summary>
/// <param name="Key">The client's, 1 to 255 characters.</param>
/// <param name="Fingerprint">Hash of what was submitted.</param>
public sealed record JobRequest(string Key, byte[] Fingerprint);

/// <summary>What became of a submission; jobs only where they were accepted or had been.</summary>
public abstract record Submission
{
    private Submission()
    {
    }

    /// <summary>Committed.</summary>
    /// <param name="Jobs">In the order of the submission, each parent before its children.</param>
    /// <param name="Kept">Those among them that were there before, for their unique key.</param>
    public sealed record Accepted(IReadOnlyList<Job> Jobs, IReadOnlySet<Guid> Kept) : Submission;

    /// <summary>The same was submitted under this key before.</summary>
    public sealed record Replayed(IReadOnlyList<Job> Jobs) : Submission;

    /// <summary>Something else was submitted under this key before.</summary>
    public sealed record KeyReused : Submission;

    /// <summary>A job that has not ended has the unique key.</summary>
    public sealed record NotUnique(int Index, Guid Existing) : Submission;

    /// <summary>The parent does not wait for children (any more), or is not there.</summary>
    /// <param name="ParentId">As it was named.</param>
    /// <param name="State">Null: there is no such job.</param>
    public sealed record NoParent(Guid ParentId, JobState? State) : Submission;

    /// <summary>The tenant has as many waiting jobs as it may.</summary>
    public sealed record QueueFull(int MaxWaiting) : Submission;
}
