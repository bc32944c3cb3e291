using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>How an attempt can end. There is no other way.</summary>
internal abstract record JobOutcome
{
    private JobOutcome()
    {
    }

    /// <param name="Result">JSON.</param>
    /// <param name="Changes">Writes what the job made into the transaction that stores the result; may be called more than once.</param>
    public sealed record Succeeded(string Result, JobChanges? Changes = null) : JobOutcome;

    /// <summary>The same job may succeed later.</summary>
    /// <param name="Error">Why not now.</param>
    /// <param name="RetryAfter">How long the refusing side asked to wait, if it did.</param>
    public sealed record Faulted(JobError Error, TimeSpan? RetryAfter = null) : JobOutcome;

    /// <summary>Not the job's fault, and nothing was tried: what it needs is full or out of order. Uses no attempt.</summary>
    /// <param name="Error">What is missing.</param>
    /// <param name="RetryAfter">How long the refusing side asked to wait, if it did.</param>
    public sealed record Snoozed(JobError Error, TimeSpan? RetryAfter = null) : JobOutcome;

    /// <summary>The job cannot succeed as it is.</summary>
    public sealed record Rejected(JobError Error) : JobOutcome;

    /// <summary>This worker is stopping; the job goes back as if the attempt had not been.</summary>
    public sealed record Interrupted : JobOutcome;

    /// <summary>The job was given to another worker; nothing this one did may count.</summary>
    public sealed record LeaseLost : JobOutcome;
}
