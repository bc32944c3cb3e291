using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// No job starts at minus infinity: up to PostgreSQL 16 nothing can be subtracted from it, and one such row would fail every claim.
/// </summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261125031000_JobTimes")]
internal sealed class JobTimes : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) =>
        migrationBuilder.Sql("ALTER TABLE llm_jobs ADD CONSTRAINT llm_jobs_run_at_finite CHECK (isfinite(run_at))");
}
