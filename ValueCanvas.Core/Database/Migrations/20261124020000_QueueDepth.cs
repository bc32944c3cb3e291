using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>How much work there is for all tenants together: numbers and no row, for metrics and for scaling workers by them.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261124020000_QueueDepth")]
internal sealed class QueueDepth : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(Measure);

    // What is due by tenants that are not paused; future and paused jobs need no worker.
    private const string Measure =
        """
        CREATE FUNCTION measure_llm_jobs() RETURNS TABLE (due bigint, running bigint, oldest_seconds double precision)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT due.jobs, running.jobs, coalesce(extract(epoch FROM clock_timestamp() - due.oldest), 0)::double precision
            FROM (SELECT count(*) AS jobs, min(j.run_at) AS oldest
                  FROM llm_jobs j LEFT JOIN llm_job_limits l ON l.tenant_id = j.tenant_id
                  WHERE j.state IN ('queued', 'retryable') AND j.run_at <= clock_timestamp() AND NOT coalesce(l.paused, false)) AS due,
                 (SELECT count(*) AS jobs FROM llm_jobs j WHERE j.state = 'running') AS running
        $$;
        ALTER FUNCTION measure_llm_jobs OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION measure_llm_jobs FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION measure_llm_jobs TO valuecanvas_app;
        """;
}
