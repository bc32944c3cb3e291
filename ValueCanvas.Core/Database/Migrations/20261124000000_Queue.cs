using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// The queue between tenants: fair claims with weights and caps, a history that no statement can avoid, keys that make a submission count
/// once, checkpoints, deadlines, the end of what is too old. Nothing that an older Api or Worker uses goes away.
/// </summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261124000000_Queue")]
internal sealed class Queue : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Tables);
        migrationBuilder.Sql(Isolation);
        migrationBuilder.Sql(QueueFunctions.History);
        migrationBuilder.Sql(QueueFunctions.Claim);
        migrationBuilder.Sql(QueueFunctions.Upkeep);
        migrationBuilder.Sql(QueueFunctions.Rights);
    }

    private const string Tables =
        """
        ALTER TABLE llm_jobs
            -- Ended as failed when it has not succeeded by then.
            ADD COLUMN deadline_at       timestamptz NULL DEFAULT now() + interval '24 hours',
            -- How often it was put off without an attempt being used.
            ADD COLUMN snoozes           integer     NOT NULL DEFAULT 0,
            -- Of the jobs of a tenant that have not ended, one may have it.
            ADD COLUMN unique_key        text        NULL CHECK (length(unique_key) BETWEEN 1 AND 200),
            ADD COLUMN retry_of          uuid        NULL,
            ADD COLUMN submitter_id      uuid        NULL,
            ADD COLUMN submitter_key_id  uuid        NULL;

        CREATE UNIQUE INDEX llm_jobs_unique ON llm_jobs (tenant_id, unique_key)
            WHERE unique_key IS NOT NULL AND state IN ('queued', 'running', 'retryable');
        -- A claim looks for tenants first, then for jobs of each.
        CREATE INDEX llm_jobs_waiting ON llm_jobs (tenant_id, priority, run_at, id) WHERE state IN ('queued', 'retryable');
        CREATE INDEX llm_jobs_running ON llm_jobs (tenant_id) WHERE state = 'running';
        -- Not NULL, so that no claim takes it for an index of what waits.
        CREATE INDEX llm_jobs_deadlines ON llm_jobs (deadline_at) WHERE state IN ('queued', 'retryable') AND deadline_at IS NOT NULL;
        CREATE INDEX llm_jobs_ended ON llm_jobs (finished_at) WHERE state IN ('succeeded', 'failed', 'cancelled');
        CREATE INDEX llm_jobs_retries ON llm_jobs (retry_of) WHERE retry_of IS NOT NULL;
        DROP INDEX llm_jobs_due;

        -- What a tenant may have of the queue; without a row: weight 1 and no cap.
        CREATE TABLE llm_job_limits (
            tenant_id    uuid        PRIMARY KEY REFERENCES tenants (id),
            weight       integer     NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
            max_running  integer     NULL CHECK (max_running >= 1),
            max_waiting  integer     NULL CHECK (max_waiting >= 1),
            paused       boolean     NOT NULL DEFAULT false,
            updated_at   timestamptz NOT NULL DEFAULT now()
        );

        -- How much of the queue each tenant has had, in jobs by weight, and where the queue as a whole is; written by claims alone, so no
        -- other transaction can make a claim wait.
        CREATE TABLE llm_job_shares (
            tenant  uuid             PRIMARY KEY,
            vtime   double precision NOT NULL
        );
        CREATE TABLE llm_job_clock (
            id      boolean          PRIMARY KEY DEFAULT true CHECK (id),
            vtime   double precision NOT NULL
        );
        INSERT INTO llm_job_clock (vtime) VALUES (0);

        -- What happened to each job, in order; only a trigger adds to it.
        CREATE TABLE llm_job_events (
            id          bigint      GENERATED ALWAYS AS IDENTITY,
            job_id      uuid        NOT NULL REFERENCES llm_jobs (id) ON DELETE CASCADE,
            tenant_id   uuid        NOT NULL REFERENCES tenants (id),
            at          timestamptz NOT NULL DEFAULT clock_timestamp(),
            event       text        NOT NULL,
            state       text        NOT NULL,
            attempt     integer     NOT NULL,
            run_lease   bigint      NOT NULL,
            worker_id   text        NULL,
            error_code  text        NULL,
            PRIMARY KEY (job_id, id)
        );

        -- A submission that came with a key, so that the same one again makes no second job.
        CREATE TABLE llm_job_requests (
            tenant_id    uuid        NOT NULL REFERENCES tenants (id),
            key          text        NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
            fingerprint  bytea       NOT NULL,
            job_ids      uuid[]      NOT NULL,
            created_at   timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (tenant_id, key)
        );
        CREATE INDEX llm_job_requests_by_time ON llm_job_requests (created_at);

        -- How far a running job has come, for the attempt after a lost one.
        CREATE TABLE llm_job_checkpoints (
            job_id      uuid        PRIMARY KEY REFERENCES llm_jobs (id) ON DELETE CASCADE,
            tenant_id   uuid        NOT NULL REFERENCES tenants (id),
            run_lease   bigint      NOT NULL,
            data        json        NOT NULL,
            updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        """;

    private const string Isolation =
        """
        ALTER TABLE llm_job_limits      ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_job_limits      FORCE  ROW LEVEL SECURITY;
        ALTER TABLE llm_job_shares      ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_job_shares      FORCE  ROW LEVEL SECURITY;
        ALTER TABLE llm_job_clock       ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_job_clock       FORCE  ROW LEVEL SECURITY;
        ALTER TABLE llm_job_events      ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_job_events      FORCE  ROW LEVEL SECURITY;
        ALTER TABLE llm_job_requests    ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_job_requests    FORCE  ROW LEVEL SECURITY;
        ALTER TABLE llm_job_checkpoints ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_job_checkpoints FORCE  ROW LEVEL SECURITY;

        CREATE POLICY tenant ON llm_job_limits
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON llm_job_events
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON llm_job_requests
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON llm_job_checkpoints
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        -- Only what has ended can be removed.
        CREATE POLICY ended ON llm_jobs AS RESTRICTIVE FOR DELETE
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid AND state IN ('succeeded', 'failed', 'cancelled'));

        GRANT DELETE                         ON llm_jobs            TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE         ON llm_job_limits      TO valuecanvas_app;
        GRANT SELECT                         ON llm_job_events      TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE         ON llm_job_requests    TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON llm_job_checkpoints TO valuecanvas_app;

        GRANT DELETE                         ON llm_jobs         TO valuecanvas_definer;
        GRANT SELECT                         ON llm_job_limits   TO valuecanvas_definer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON llm_job_shares   TO valuecanvas_definer;
        GRANT SELECT, UPDATE                 ON llm_job_clock    TO valuecanvas_definer;
        GRANT INSERT                         ON llm_job_events   TO valuecanvas_definer;
        GRANT SELECT, DELETE                 ON llm_job_requests TO valuecanvas_definer;
        """;
}
