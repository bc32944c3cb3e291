using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// Jobs that wait for other jobs: a parent is <c>blocked</c> until its children have ended. What the end of a child means for its parent,
/// and that of a parent for its children, is part of the transaction that ends it, whatever statement that is.
/// </summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261125011000_JobFamilies")]
internal sealed class JobFamilies : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Table);
        migrationBuilder.Sql(FamilyFunctions.History);
        migrationBuilder.Sql(FamilyFunctions.Settle);
        migrationBuilder.Sql(FamilyFunctions.Upkeep);
    }

    private const string Table =
        """
        ALTER TABLE llm_jobs
            -- Of the same tenant, and with no parent of its own: families have two generations.
            ADD COLUMN parent_id         uuid NULL,
            -- What a parent does when a child fails or is called off; null: it is no parent.
            ADD COLUMN on_child_failure  text NULL CHECK (on_child_failure IN ('fail', 'cancel', 'continue')),
            DROP CONSTRAINT llm_jobs_state_check,
            ADD CONSTRAINT llm_jobs_state_check
                CHECK (state IN ('queued', 'blocked', 'running', 'retryable', 'succeeded', 'failed', 'cancelled')),
            ADD CONSTRAINT llm_jobs_generations CHECK (parent_id IS NULL OR on_child_failure IS NULL);

        CREATE INDEX llm_jobs_children ON llm_jobs (parent_id) WHERE parent_id IS NOT NULL;
        CREATE INDEX llm_jobs_children_left ON llm_jobs (parent_id)
            WHERE parent_id IS NOT NULL AND state IN ('queued', 'running', 'retryable');

        -- A job that waits for its children has not ended.
        DROP INDEX llm_jobs_unique;
        CREATE UNIQUE INDEX llm_jobs_unique ON llm_jobs (tenant_id, unique_key)
            WHERE unique_key IS NOT NULL AND state IN ('queued', 'blocked', 'running', 'retryable');
        DROP INDEX llm_jobs_deadlines;
        CREATE INDEX llm_jobs_deadlines ON llm_jobs (deadline_at)
            WHERE state IN ('queued', 'blocked', 'retryable') AND deadline_at IS NOT NULL;
        """;
}
