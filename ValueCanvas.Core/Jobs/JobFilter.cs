using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Jobs;

/// <summary>Which of a tenant's jobs are meant; what is null does not matter.</summary>
public sealed record JobFilter
{
    public static readonly JobFilter None = new();

    public JobState? State { get; init; }

    public string? Type { get; init; }

    public string? ErrorCode { get; init; }

    public Guid? RetryOf { get; init; }

    public Guid? ParentId { get; init; }

    public IReadOnlyList<Guid>? Ids { get; init; }

    /// <summary>Failed, and not done again since.</summary>
    public bool DeadLetters { get; init; }

    internal IQueryable<Job> Apply(IQueryable<Job> jobs, ValueCanvasDbContext db)
    {
        if (State is { } state)
            jobs = jobs.Where(job => job.State == state);
        if (Type is not null)
            jobs = jobs.Where(job => job.Type == Type);
        if (ErrorCode is not null)
            jobs = jobs.Where(job => job.ErrorCode == ErrorCode);
        if (RetryOf is not null)
            jobs = jobs.Where(job => job.RetryOf == RetryOf);
        if (ParentId is not null)
            jobs = jobs.Where(job => job.ParentId == ParentId);
        if (Ids is not null)
            jobs = jobs.Where(job => Ids.Contains(job.Id));
        if (DeadLetters)
            jobs = jobs.Where(job => job.State == JobState.Failed && !db.Set<Job>().Any(again => again.RetryOf == job.Id));
        return jobs;
    }
}
