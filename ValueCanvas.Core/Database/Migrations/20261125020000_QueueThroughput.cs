using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// Many jobs a second: successes in groups, and no lock that every job of a tenant takes. What an older Worker calls is still there.
/// </summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261125020000_QueueThroughput")]
internal sealed class QueueThroughput : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(ClaimFunction.Text);
        migrationBuilder.Sql(Complete);
        migrationBuilder.Sql(Renew);
        migrationBuilder.Sql(Storage);
    }

    // Each job by its own fence, all in one commit. The plan is a loop over the primary key, however the tables grow: a state as a plain
    // column could be looked up in an index of all that run.
    private const string Complete =
        """
        CREATE FUNCTION complete_llm_jobs(ids uuid[], leases bigint[], results text[]) RETURNS TABLE (id uuid, earlier boolean)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
        SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
        #variable_conflict use_column
        BEGIN
            RETURN QUERY
            WITH given AS MATERIALIZED (
                SELECT g.job, g.lease, g.result FROM unnest(ids, leases, results) AS g (job, lease, result)),
            -- In the order in which renewals lock them, so that neither waits for the other in a circle.
            held AS MATERIALIZED (
                SELECT j.id, j.run_lease, g.result
                FROM given g JOIN llm_jobs j ON j.id = g.job
                WHERE coalesce(j.state, '') = 'running' AND j.run_lease = g.lease
                ORDER BY j.id
                FOR NO KEY UPDATE OF j),
            completed AS (
                UPDATE llm_jobs j
                SET state = 'succeeded', finished_at = clock_timestamp(), lease_expires_at = NULL, error_code = NULL, error_message = NULL
                FROM held h
                WHERE j.id = h.id AND coalesce(j.state, '') = 'running' AND j.run_lease = h.run_lease
                RETURNING j.id, j.tenant_id, j.run_lease, h.result),
            stored AS (
                INSERT INTO llm_job_results (job_id, tenant_id, run_lease, result)
                SELECT c.id, c.tenant_id, c.run_lease, c.result::json FROM completed c)
            SELECT c.id, false FROM completed c
            UNION ALL
            -- Had succeeded under this lease before: whoever asks may have lost the answer.
            SELECT j.id, true
            FROM given g JOIN llm_jobs j ON j.id = g.job
            WHERE coalesce(j.state, '') = 'succeeded' AND j.run_lease = g.lease;
        END
        $$;

        ALTER FUNCTION complete_llm_jobs OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION complete_llm_jobs FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION complete_llm_jobs TO valuecanvas_app;
        GRANT INSERT ON llm_job_results TO valuecanvas_definer;
        """;

    private const string Renew =
        """
        CREATE OR REPLACE FUNCTION heartbeat_llm_jobs(ids uuid[], leases bigint[], lease interval) RETURNS SETOF uuid
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
        SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
        BEGIN
            RETURN QUERY
            WITH held AS MATERIALIZED (
                SELECT j.id, j.run_lease
                FROM unnest(ids, leases) AS given (id, run_lease) JOIN llm_jobs j ON j.id = given.id
                WHERE coalesce(j.state, '') = 'running' AND j.run_lease = given.run_lease
                ORDER BY j.id
                FOR NO KEY UPDATE OF j)
            UPDATE llm_jobs j
            SET heartbeat_at = clock_timestamp(), lease_expires_at = clock_timestamp() + lease
            FROM held
            WHERE j.id = held.id AND coalesce(j.state, '') = 'running' AND j.run_lease = held.run_lease
            RETURNING j.id;
        END
        $$;
        """;

    // What belongs to a job names its tenant as the job does; the job's own reference says that there is one. Each such reference locks the
    // tenant's row with every event of every job.
    private const string Storage =
        """
        ALTER TABLE llm_job_events  DROP CONSTRAINT llm_job_events_tenant_id_fkey;
        ALTER TABLE llm_job_results DROP CONSTRAINT llm_job_results_tenant_id_fkey;

        -- A job leaves two dead rows on its way. Cleaned up by the thousands, not first when they are a fifth of all that ever ended.
        ALTER TABLE llm_jobs        SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
        ALTER TABLE llm_job_shares  SET (fillfactor = 50);
        """;
}
