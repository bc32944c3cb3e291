using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ValueCanvas.Core.Jobs;

/// <summary>A row of <c>llm_job_results</c>, committed together with the job's success and with what the job changed.</summary>
public sealed class JobResult
{
    public Guid JobId { get; init; }

    public Guid TenantId { get; init; }

    /// <summary>The lease under which the result was made.</summary>
    public long RunLease { get; init; }

    /// <summary>JSON; its shape depends on the job's type.</summary>
    public required string Result { get; init; }

    public DateTimeOffset CreatedAt { get; init; }
}

internal sealed class JobResultConfiguration : IEntityTypeConfiguration<JobResult>
{
    public void Configure(EntityTypeBuilder<JobResult> builder)
    {
        builder.ToTable("llm_job_results");
        builder.HasKey(result => result.JobId);
        builder.Property(result => result.JobId).HasColumnName("job_id").ValueGeneratedNever();
        builder.Property(result => result.TenantId).HasColumnName("tenant_id");
        builder.Property(result => result.RunLease).HasColumnName("run_lease");
        builder.Property(result => result.Result).HasColumnName("result").HasColumnType("json");
        builder.Property(result => result.CreatedAt).HasColumnName("created_at").ValueGeneratedOnAdd();
    }
}
