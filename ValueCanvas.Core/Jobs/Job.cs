using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ValueCanvas.Core.Jobs;

/// <summary>A row of <c>llm_jobs</c>. All times are the database's.</summary>
public sealed class Job
{
    public const int DefaultMaxAttempts = 5;

    public Guid Id { get; init; }

    public Guid TenantId { get; init; }

    /// <summary>What to do: <see cref="JobTypes"/>.</summary>
    public required string Type { get; init; }

    /// <summary>The prompt that the job renders, where its type takes one.</summary>
    public string? PromptKey { get; init; }

    /// <summary>JSON object: what the type needs, as validated at submission.</summary>
    public required string Args { get; init; }

    public JobState State { get; init; }

    /// <summary>1 (first) to 5 (last).</summary>
    public short Priority { get; init; } = 3;

    /// <summary>Not claimed before.</summary>
    public DateTimeOffset RunAt { get; init; }

    /// <summary>Attempts begun, the running one included.</summary>
    public int Attempt { get; init; }

    public int MaxAttempts { get; init; } = DefaultMaxAttempts;

    /// <summary>Failed when it has not succeeded by then; by default 24 hours after the submission.</summary>
    public DateTimeOffset? DeadlineAt { get; init; }

    /// <summary>How often it was put off without an attempt being used.</summary>
    public int Snoozes { get; init; }

    /// <summary>Of the tenant's jobs that have not ended, no other has the same.</summary>
    public string? UniqueKey { get; init; }

    /// <summary>The job that this one does again.</summary>
    public Guid? RetryOf { get; init; }

    /// <summary>The job that waits for this one to end.</summary>
    public Guid? ParentId { get; init; }

    /// <summary>What it does when a child does not succeed; null: it has no children. See <see cref="ChildFailures"/>.</summary>
    public string? OnChildFailure { get; init; }

    /// <summary>The user who submitted it, or whose API key did.</summary>
    public Guid? SubmitterId { get; init; }

    public Guid? SubmitterKeyId { get; init; }

    /// <summary>Attempts that lost their worker.</summary>
    public int CrashCount { get; init; }

    /// <summary>Grows with every claim; a write by the holder of an older one is refused.</summary>
    public long RunLease { get; init; }

    /// <summary>The worker that holds, or last held, the lease.</summary>
    public string? WorkerId { get; init; }

    public DateTimeOffset? HeartbeatAt { get; init; }

    /// <summary>When the job counts as abandoned unless the worker renews; set exactly while running.</summary>
    public DateTimeOffset? LeaseExpiresAt { get; init; }

    /// <summary>Why the last attempt failed, for machines.</summary>
    public string? ErrorCode { get; init; }

    /// <summary>Why the last attempt failed, for people. Holds no prompt and no secret.</summary>
    public string? ErrorMessage { get; init; }

    /// <summary>W3C trace context of the request that submitted the job.</summary>
    public string? TraceParent { get; init; }

    public string? TraceState { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>When the latest attempt began.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    /// <summary>When the job reached a final state.</summary>
    public DateTimeOffset? FinishedAt { get; init; }
}

internal sealed class JobConfiguration : IEntityTypeConfiguration<Job>
{
    public void Configure(EntityTypeBuilder<Job> builder)
    {
        builder.ToTable("llm_jobs");
        builder.HasKey(job => job.Id);
        builder.Property(job => job.Id).HasColumnName("id").ValueGeneratedNever();
        builder.Property(job => job.TenantId).HasColumnName("tenant_id");
        builder.Property(job => job.Type).HasColumnName("type");
        builder.Property(job => job.PromptKey).HasColumnName("prompt_key");
        builder.Property(job => job.Args).HasColumnName("args").HasColumnType("jsonb");
        builder.Property(job => job.State).HasColumnName("state").HasConversion(state => state.ToName(), name => JobStates.Parse(name));
        builder.Property(job => job.Priority).HasColumnName("priority");
        builder.Property(job => job.RunAt).HasColumnName("run_at").ValueGeneratedOnAdd();
        builder.Property(job => job.Attempt).HasColumnName("attempt");
        builder.Property(job => job.MaxAttempts).HasColumnName("max_attempts");
        builder.Property(job => job.DeadlineAt).HasColumnName("deadline_at").ValueGeneratedOnAdd();
        builder.Property(job => job.Snoozes).HasColumnName("snoozes");
        builder.Property(job => job.UniqueKey).HasColumnName("unique_key");
        builder.Property(job => job.RetryOf).HasColumnName("retry_of");
        builder.Property(job => job.ParentId).HasColumnName("parent_id");
        builder.Property(job => job.OnChildFailure).HasColumnName("on_child_failure");
        builder.Property(job => job.SubmitterId).HasColumnName("submitter_id");
        builder.Property(job => job.SubmitterKeyId).HasColumnName("submitter_key_id");
        builder.Property(job => job.CrashCount).HasColumnName("crash_count");
        builder.Property(job => job.RunLease).HasColumnName("run_lease");
        builder.Property(job => job.WorkerId).HasColumnName("worker_id");
        builder.Property(job => job.HeartbeatAt).HasColumnName("heartbeat_at");
        builder.Property(job => job.LeaseExpiresAt).HasColumnName("lease_expires_at");
        builder.Property(job => job.ErrorCode).HasColumnName("error_code");
        builder.Property(job => job.ErrorMessage).HasColumnName("error_message");
        builder.Property(job => job.TraceParent).HasColumnName("traceparent");
        builder.Property(job => job.TraceState).HasColumnName("tracestate");
        builder.Property(job => job.CreatedAt).HasColumnName("created_at").ValueGeneratedOnAdd();
        builder.Property(job => job.StartedAt).HasColumnName("started_at");
        builder.Property(job => job.FinishedAt).HasColumnName("finished_at");
    }
}
