using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ValueCanvas.Core.Jobs.Schedules;

/// <summary>A row of <c>llm_job_schedules</c>: a job that is submitted whenever its time has come.</summary>
public sealed class JobSchedule
{
    public required Guid Id { get; init; }

    public required Guid TenantId { get; init; }

    /// <summary>For people; no two of a tenant have the same.</summary>
    public required string Name { get; set; }

    /// <summary>Passes <see cref="CronExpression.TryParse"/>.</summary>
    public required string Cron { get; set; }

    /// <summary>IANA name, such as <c>Europe/Lisbon</c>.</summary>
    public required string TimeZone { get; set; }

    public bool Enabled { get; set; } = true;

    public required string Type { get; set; }

    public string? PromptKey { get; set; }

    /// <summary>As <see cref="Job.Args"/>.</summary>
    public required string Args { get; set; }

    public short Priority { get; set; }

    public int MaxAttempts { get; set; }

    public Guid? SubmitterId { get; set; }

    public Guid? SubmitterKeyId { get; set; }

    /// <summary>When the next job is submitted; null: there is no such time.</summary>
    public DateTimeOffset? NextAt { get; set; }

    /// <summary>The time that the last job was submitted for.</summary>
    public DateTimeOffset? LastAt { get; set; }

    public DateTimeOffset CreatedAt { get; init; }
}

internal sealed class JobScheduleConfiguration : IEntityTypeConfiguration<JobSchedule>
{
    public void Configure(EntityTypeBuilder<JobSchedule> builder)
    {
        builder.ToTable("llm_job_schedules");
        builder.HasKey(schedule => schedule.Id);
        builder.Property(schedule => schedule.Id).HasColumnName("id").ValueGeneratedNever();
        builder.Property(schedule => schedule.TenantId).HasColumnName("tenant_id");
        builder.Property(schedule => schedule.Name).HasColumnName("name");
        builder.Property(schedule => schedule.Cron).HasColumnName("cron");
        builder.Property(schedule => schedule.TimeZone).HasColumnName("time_zone");
        builder.Property(schedule => schedule.Enabled).HasColumnName("enabled").ValueGeneratedNever();
        builder.Property(schedule => schedule.Type).HasColumnName("type");
        builder.Property(schedule => schedule.PromptKey).HasColumnName("prompt_key");
        builder.Property(schedule => schedule.Args).HasColumnName("args").HasColumnType("jsonb");
        builder.Property(schedule => schedule.Priority).HasColumnName("priority");
        builder.Property(schedule => schedule.MaxAttempts).HasColumnName("max_attempts");
        builder.Property(schedule => schedule.SubmitterId).HasColumnName("submitter_id");
        builder.Property(schedule => schedule.SubmitterKeyId).HasColumnName("submitter_key_id");
        builder.Property(schedule => schedule.NextAt).HasColumnName("next_at");
        builder.Property(schedule => schedule.LastAt).HasColumnName("last_at");
        builder.Property(schedule => schedule.CreatedAt).HasColumnName("created_at").ValueGeneratedOnAdd();
    }
}
