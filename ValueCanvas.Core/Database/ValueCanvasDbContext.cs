using Microsoft.EntityFrameworkCore;

namespace ValueCanvas.Core.Database;

/// <summary>
/// Every table of ValueCanvas. Each feature folder of Core brings its own <see cref="IEntityTypeConfiguration{TEntity}"/>, with column
/// names written out. Use it through <see cref="TenantDatabase"/>: outside of it row-level security shows no row.
/// </summary>
public sealed class ValueCanvasDbContext(DbContextOptions<ValueCanvasDbContext> options) : DbContext(options)
{
    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.ApplyConfigurationsFromAssembly(typeof(ValueCanvasDbContext).Assembly);
}
