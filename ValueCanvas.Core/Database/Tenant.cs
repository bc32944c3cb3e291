using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ValueCanvas.Core.Database;

/// <summary>A customer whose rows no other customer can see.</summary>
public sealed class Tenant
{
    /// <summary>The value of <c>app.tenant_id</c> under which this tenant's rows are visible.</summary>
    public Guid Id { get; init; }

    /// <summary>What people call the tenant.</summary>
    public required string Name { get; set; }

    /// <summary>When the row was written, by the database's clock.</summary>
    public DateTimeOffset CreatedAt { get; init; }
}

internal sealed class TenantConfiguration : IEntityTypeConfiguration<Tenant>
{
    public void Configure(EntityTypeBuilder<Tenant> builder)
    {
        builder.ToTable("tenants");
        builder.HasKey(tenant => tenant.Id);
        builder.Property(tenant => tenant.Id).HasColumnName("id").ValueGeneratedNever();
        builder.Property(tenant => tenant.Name).HasColumnName("name");
        builder.Property(tenant => tenant.CreatedAt).HasColumnName("created_at").ValueGeneratedOnAdd();
    }
}
