using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// What workers ask again and again is planned once a connection. Left to itself PostgreSQL compares the estimates of a plan for any number
/// of jobs with those of one for just this number, which here says nothing, and planned most claims anew: more than a millisecond, also for
/// a claim that finds nothing. Whoever replaces one of the functions says so again.
/// </summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261126021000_QueuePlans")]
internal sealed class QueuePlans : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        ALTER FUNCTION claim_llm_jobs(text, integer, interval)           SET plan_cache_mode = force_generic_plan;
        ALTER FUNCTION complete_llm_jobs(uuid[], bigint[], text[])       SET plan_cache_mode = force_generic_plan;
        ALTER FUNCTION heartbeat_llm_jobs(uuid[], bigint[], interval)    SET plan_cache_mode = force_generic_plan;
        """);
}
