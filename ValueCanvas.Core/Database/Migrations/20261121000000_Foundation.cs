using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>Tenants, canvases, and the queue.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261121000000_Foundation")]
internal sealed class Foundation : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Tables);
        migrationBuilder.Sql(Isolation);
        migrationBuilder.Sql(QueueFunctions);
    }

    private const string Tables =
        """
        CREATE TABLE tenants (
            id          uuid        PRIMARY KEY,
            name        text        NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now()
        );

        INSERT INTO tenants (id, name) VALUES ('00000000-0000-0000-0000-000000000001', 'Development');

        CREATE TABLE canvases (
            id                    uuid        PRIMARY KEY,
            tenant_id             uuid        NOT NULL REFERENCES tenants (id),
            type                  text        NOT NULL CHECK (type IN ('value_proposition', 'business_model', 'lean')),
            title                 text        NOT NULL,
            business_description  text        NOT NULL,
            industry              text        NULL,
            content               jsonb       NOT NULL,
            model                 text        NOT NULL,
            prompt_version        text        NOT NULL,
            input_tokens          integer     NULL,
            output_tokens         integer     NULL,
            created_at            timestamptz NOT NULL DEFAULT now(),
            updated_at            timestamptz NOT NULL DEFAULT now()
        );

        CREATE INDEX canvases_by_tenant ON canvases (tenant_id, created_at DESC, id DESC);

        -- docs/job-states.md draws the states. Times are the database's: workers' clocks may differ.
        CREATE TABLE llm_jobs (
            id                uuid        PRIMARY KEY,
            tenant_id         uuid        NOT NULL REFERENCES tenants (id),
            type              text        NOT NULL,
            prompt_key        text        NULL,
            args              jsonb       NOT NULL,
            state             text        NOT NULL DEFAULT 'queued'
                              CHECK (state IN ('queued', 'running', 'retryable', 'succeeded', 'failed', 'cancelled')),
            priority          smallint    NOT NULL DEFAULT 3 CHECK (priority BETWEEN 1 AND 5),
            run_at            timestamptz NOT NULL DEFAULT now(),
            attempt           integer     NOT NULL DEFAULT 0 CHECK (attempt >= 0),
            max_attempts      integer     NOT NULL DEFAULT 5 CHECK (max_attempts >= 1),
            crash_count       integer     NOT NULL DEFAULT 0,
            -- Grows by one with every claim and never resets: the fence that refuses a worker whose lease was given to another.
            run_lease         bigint      NOT NULL DEFAULT 0,
            worker_id         text        NULL,
            heartbeat_at      timestamptz NULL,
            lease_expires_at  timestamptz NULL,
            error_code        text        NULL,
            error_message     text        NULL,
            traceparent       text        NULL,
            tracestate        text        NULL,
            created_at        timestamptz NOT NULL DEFAULT now(),
            started_at        timestamptz NULL,
            finished_at       timestamptz NULL,
            CHECK ((state = 'running') = (lease_expires_at IS NOT NULL)),
            CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
        );

        CREATE INDEX llm_jobs_due ON llm_jobs (priority, run_at, id) WHERE state IN ('queued', 'retryable');
        CREATE INDEX llm_jobs_leases ON llm_jobs (lease_expires_at) WHERE state = 'running';
        CREATE INDEX llm_jobs_by_tenant ON llm_jobs (tenant_id, created_at DESC, id DESC);
        CREATE INDEX llm_jobs_by_state ON llm_jobs (tenant_id, state, created_at DESC, id DESC);

        CREATE TABLE llm_job_results (
            job_id      uuid        PRIMARY KEY REFERENCES llm_jobs (id) ON DELETE CASCADE,
            tenant_id   uuid        NOT NULL REFERENCES tenants (id),
            run_lease   bigint      NOT NULL,
            -- As the worker wrote it, order of keys included: json, not jsonb.
            result      json        NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now()
        );
        """;

    // A transaction that has not set app.tenant_id sees nothing; after one that had, the setting is '' on the same connection.
    private const string Isolation =
        """
        ALTER TABLE tenants         ENABLE ROW LEVEL SECURITY;
        ALTER TABLE tenants         FORCE  ROW LEVEL SECURITY;
        ALTER TABLE canvases        ENABLE ROW LEVEL SECURITY;
        ALTER TABLE canvases        FORCE  ROW LEVEL SECURITY;
        ALTER TABLE llm_jobs        ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_jobs        FORCE  ROW LEVEL SECURITY;
        ALTER TABLE llm_job_results ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_job_results FORCE  ROW LEVEL SECURITY;

        CREATE POLICY tenant ON tenants
            USING (id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON canvases
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON llm_jobs
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON llm_job_results
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);

        GRANT SELECT                         ON tenants         TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON canvases        TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE         ON llm_jobs        TO valuecanvas_app;
        GRANT SELECT, INSERT                 ON llm_job_results TO valuecanvas_app;
        GRANT SELECT, UPDATE                 ON llm_jobs        TO valuecanvas_definer;
        """;

    // Workers serve every tenant, so what they do before they know the tenant goes through these, with the rights of a role
    // that has no others. Each locks rows with SKIP LOCKED and checks the state again in the statement that changes it.
    private const string QueueFunctions =
        """
        CREATE FUNCTION claim_llm_jobs(worker text, max_jobs integer, lease interval) RETURNS SETOF llm_jobs
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            RETURN QUERY
            WITH due AS MATERIALIZED (
                SELECT j.id
                FROM llm_jobs j
                WHERE j.state IN ('queued', 'retryable') AND j.run_at <= clock_timestamp()
                ORDER BY j.priority, j.run_at, j.id
                LIMIT max_jobs
                FOR UPDATE SKIP LOCKED)
            UPDATE llm_jobs j
            SET state = 'running',
                attempt = j.attempt + 1,
                run_lease = j.run_lease + 1,
                worker_id = worker,
                heartbeat_at = clock_timestamp(),
                lease_expires_at = clock_timestamp() + lease,
                started_at = clock_timestamp()
            FROM due
            WHERE j.id = due.id AND j.state IN ('queued', 'retryable')
            RETURNING j.*;
        END
        $$;

        CREATE FUNCTION heartbeat_llm_jobs(ids uuid[], leases bigint[], lease interval) RETURNS SETOF uuid
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            RETURN QUERY
            UPDATE llm_jobs j
            SET heartbeat_at = clock_timestamp(), lease_expires_at = clock_timestamp() + lease
            FROM unnest(ids, leases) AS held (id, run_lease)
            WHERE j.id = held.id AND j.state = 'running' AND j.run_lease = held.run_lease
            RETURNING j.id;
        END
        $$;

        -- A worker that stopped renewing lost the attempt. A job that keeps losing its worker is what kills it.
        CREATE FUNCTION rescue_llm_jobs(max_jobs integer, max_crashes integer) RETURNS TABLE (id uuid, state text)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        #variable_conflict use_column
        BEGIN
            RETURN QUERY
            WITH lost AS MATERIALIZED (
                SELECT j.id, j.crash_count + 1 >= max_crashes AS poison, j.attempt >= j.max_attempts AS exhausted
                FROM llm_jobs j
                WHERE j.state = 'running' AND j.lease_expires_at < clock_timestamp()
                ORDER BY j.lease_expires_at
                LIMIT max_jobs
                FOR UPDATE SKIP LOCKED)
            UPDATE llm_jobs j
            SET state = CASE WHEN lost.poison OR lost.exhausted THEN 'failed' ELSE 'retryable' END,
                crash_count = j.crash_count + 1,
                run_at = clock_timestamp(),
                worker_id = NULL,
                lease_expires_at = NULL,
                error_code = CASE WHEN lost.poison THEN 'poison' ELSE 'worker_lost' END,
                error_message = CASE
                    WHEN lost.poison THEN 'Every worker that ran this job stopped answering.'
                    ELSE 'The worker that ran this job stopped answering.' END,
                finished_at = CASE WHEN lost.poison OR lost.exhausted THEN clock_timestamp() END
            FROM lost
            WHERE j.id = lost.id AND j.state = 'running' AND j.lease_expires_at < clock_timestamp()
            RETURNING j.id, j.state;
        END
        $$;

        ALTER FUNCTION claim_llm_jobs     OWNER TO valuecanvas_definer;
        ALTER FUNCTION heartbeat_llm_jobs OWNER TO valuecanvas_definer;
        ALTER FUNCTION rescue_llm_jobs    OWNER TO valuecanvas_definer;

        REVOKE ALL ON FUNCTION claim_llm_jobs, heartbeat_llm_jobs, rescue_llm_jobs FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION claim_llm_jobs, heartbeat_llm_jobs, rescue_llm_jobs TO valuecanvas_app;
        """;
}
