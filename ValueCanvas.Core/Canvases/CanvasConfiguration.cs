using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace ValueCanvas.Core.Canvases;

internal sealed class CanvasConfiguration : IEntityTypeConfiguration<Canvas>
{
    public void Configure(EntityTypeBuilder<Canvas> builder)
    {
        builder.ToTable("canvases");
        builder.HasKey(canvas => canvas.Id);
        builder.Property(canvas => canvas.Id).HasColumnName("id").ValueGeneratedNever();
        builder.Property(canvas => canvas.TenantId).HasColumnName("tenant_id");
        builder.Property(canvas => canvas.Type).HasColumnName("type").HasConversion(type => type.ToWireName(), name => Parse(name));
        builder.Property(canvas => canvas.Title).HasColumnName("title");
        builder.Property(canvas => canvas.BusinessDescription).HasColumnName("business_description");
        builder.Property(canvas => canvas.Industry).HasColumnName("industry");
        builder.Property(canvas => canvas.Content).HasColumnName("content").HasColumnType("jsonb");
        builder.Property(canvas => canvas.Model).HasColumnName("model");
        builder.Property(canvas => canvas.PromptVersion).HasColumnName("prompt_version");
        builder.Property(canvas => canvas.InputTokens).HasColumnName("input_tokens");
        builder.Property(canvas => canvas.OutputTokens).HasColumnName("output_tokens");
        builder.Property(canvas => canvas.CreatedAt).HasColumnName("created_at");
        builder.Property(canvas => canvas.UpdatedAt).HasColumnName("updated_at");
    }

    private static CanvasType Parse(string name) =>
        CanvasTypes.TryParse(name, out var type)
            ? type
            : throw new InvalidOperationException($"The database holds a canvas of the unknown type '{name}'.");
}
