using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>Jobs that are submitted again and again, by a cron expression.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261124010000_JobSchedules")]
internal sealed class JobSchedules : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(Schedules);

    private const string Schedules =
        """
        CREATE TABLE llm_job_schedules (
            id                uuid        PRIMARY KEY,
            tenant_id         uuid        NOT NULL REFERENCES tenants (id),
            name              text        NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
            cron              text        NOT NULL,
            time_zone         text        NOT NULL,
            enabled           boolean     NOT NULL DEFAULT true,
            type              text        NOT NULL,
            prompt_key        text        NULL,
            args              jsonb       NOT NULL,
            priority          smallint    NOT NULL DEFAULT 3 CHECK (priority BETWEEN 1 AND 5),
            max_attempts      integer     NOT NULL DEFAULT 5 CHECK (max_attempts >= 1),
            submitter_id      uuid        NULL,
            submitter_key_id  uuid        NULL,
            -- Whoever moves it from one time to the next submits the job, in the same transaction; null: never again.
            next_at           timestamptz NULL,
            last_at           timestamptz NULL,
            created_at        timestamptz NOT NULL DEFAULT now(),
            UNIQUE (tenant_id, name)
        );
        CREATE INDEX llm_job_schedules_due ON llm_job_schedules (next_at) WHERE enabled AND next_at IS NOT NULL;

        ALTER TABLE llm_job_schedules ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_job_schedules FORCE  ROW LEVEL SECURITY;
        CREATE POLICY tenant ON llm_job_schedules
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        GRANT SELECT, INSERT, UPDATE, DELETE ON llm_job_schedules TO valuecanvas_app;
        GRANT SELECT                         ON llm_job_schedules TO valuecanvas_definer;

        CREATE FUNCTION due_llm_job_schedules(max_rows integer) RETURNS TABLE (id uuid, tenant_id uuid, present timestamptz)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT s.id, s.tenant_id, clock_timestamp()
            FROM llm_job_schedules s
            WHERE s.enabled AND s.next_at <= clock_timestamp()
            ORDER BY s.next_at
            LIMIT max_rows
        $$;
        ALTER FUNCTION due_llm_job_schedules OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION due_llm_job_schedules FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION due_llm_job_schedules TO valuecanvas_app;
        """;
}
