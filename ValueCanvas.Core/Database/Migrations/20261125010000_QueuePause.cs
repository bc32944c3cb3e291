using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>An operator may stop the whole queue for a while; before, each tenant could only stop its own part.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261125010000_QueuePause")]
internal sealed class QueuePause : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Pause);
        migrationBuilder.Sql(Measure);
    }

    // Apart from the clock, which claims alone write: no pause waits for a claim, and no claim for a pause.
    private const string Pause =
        """
        CREATE TABLE llm_queue (
            id            boolean     PRIMARY KEY DEFAULT true CHECK (id),
            -- Null: jobs are started.
            paused_since  timestamptz NULL
        );
        INSERT INTO llm_queue DEFAULT VALUES;

        ALTER TABLE llm_queue ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_queue FORCE  ROW LEVEL SECURITY;
        GRANT SELECT, UPDATE ON llm_queue TO valuecanvas_definer;

        CREATE FUNCTION llm_queue_paused_since() RETURNS timestamptz
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT q.paused_since FROM llm_queue q
        $$;

        -- Since when it is paused, afterwards.
        CREATE FUNCTION pause_llm_queue(pause boolean) RETURNS timestamptz
        LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
            UPDATE llm_queue q
            SET paused_since = CASE WHEN pause THEN coalesce(q.paused_since, clock_timestamp()) END
            RETURNING q.paused_since
        $$;

        ALTER FUNCTION llm_queue_paused_since OWNER TO valuecanvas_definer;
        ALTER FUNCTION pause_llm_queue        OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION llm_queue_paused_since, pause_llm_queue FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION llm_queue_paused_since, pause_llm_queue TO valuecanvas_app;
        """;

    // What is due while nothing is started needs no worker.
    private const string Measure =
        """
        CREATE OR REPLACE FUNCTION measure_llm_jobs() RETURNS TABLE (due bigint, running bigint, oldest_seconds double precision)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT due.jobs, running.jobs, coalesce(extract(epoch FROM clock_timestamp() - due.oldest), 0)::double precision
            FROM (SELECT count(*) AS jobs, min(j.run_at) AS oldest
                  FROM llm_jobs j LEFT JOIN llm_job_limits l ON l.tenant_id = j.tenant_id
                  WHERE j.state IN ('queued', 'retryable') AND j.run_at <= clock_timestamp() AND NOT coalesce(l.paused, false)
                    AND NOT EXISTS (SELECT FROM llm_queue q WHERE q.paused_since IS NOT NULL)) AS due,
                 (SELECT count(*) AS jobs FROM llm_jobs j WHERE j.state = 'running') AS running
        $$;
        """;
}
