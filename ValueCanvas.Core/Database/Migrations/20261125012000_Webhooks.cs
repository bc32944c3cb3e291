using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>Tenants' endpoints that hear of the ends of jobs, and the outbox of what they are to hear.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261125012000_Webhooks")]
internal sealed class Webhooks : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Tables);
        migrationBuilder.Sql(Announce);
        migrationBuilder.Sql(Deliver);
    }

    private const string Tables =
        """
        CREATE TABLE webhook_endpoints (
            id               uuid        PRIMARY KEY,
            tenant_id        uuid        NOT NULL REFERENCES tenants (id),
            url              text        NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
            description      text        NULL CHECK (length(description) <= 200),
            events           text[]      NOT NULL,
            -- What its messages are signed with, sealed by the application; for a while also with the secret of before.
            sealed           bytea       NOT NULL,
            previous_sealed  bytea       NULL,
            previous_until   timestamptz NULL,
            enabled          boolean     NOT NULL DEFAULT true,
            -- Why the system has disabled it; null where a person has.
            disabled_reason  text        NULL,
            -- The first failed attempt since the last that succeeded.
            failing_since    timestamptz NULL,
            created_at       timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        CREATE INDEX webhook_endpoints_by_tenant ON webhook_endpoints (tenant_id);

        CREATE TABLE webhook_deliveries (
            id             uuid        PRIMARY KEY,
            -- Two that are no references: the end of a job locks no endpoint and no tenant, and fails for no endpoint that is being removed.
            tenant_id      uuid        NOT NULL,
            endpoint_id    uuid        NOT NULL,
            -- What it is about; the job may be gone by now.
            job_id         uuid        NULL,
            event          text        NOT NULL,
            -- As it is sent, each time the same bytes.
            payload        text        NOT NULL,
            state          text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
            attempts       integer     NOT NULL DEFAULT 0,
            next_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
            -- Grows with every claim: the fence that refuses a worker which took too long. While one holds it: until when.
            lease          bigint      NOT NULL DEFAULT 0,
            claimed_until  timestamptz NULL,
            last_status    integer     NULL,
            last_error     text        NULL,
            created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            finished_at    timestamptz NULL,
            CHECK ((state = 'pending') = (finished_at IS NULL))
        );
        CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_at) WHERE state = 'pending';
        CREATE INDEX webhook_deliveries_claimed ON webhook_deliveries (endpoint_id)
            WHERE state = 'pending' AND claimed_until IS NOT NULL;
        CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint_id, created_at DESC, id DESC);
        CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (finished_at) WHERE state <> 'pending';

        ALTER TABLE webhook_endpoints  ENABLE ROW LEVEL SECURITY;
        ALTER TABLE webhook_endpoints  FORCE  ROW LEVEL SECURITY;
        ALTER TABLE webhook_deliveries ENABLE ROW LEVEL SECURITY;
        ALTER TABLE webhook_deliveries FORCE  ROW LEVEL SECURITY;
        CREATE POLICY tenant ON webhook_endpoints
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON webhook_deliveries
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);

        GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_endpoints  TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_deliveries TO valuecanvas_app;
        GRANT SELECT                         ON webhook_endpoints  TO valuecanvas_definer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_deliveries TO valuecanvas_definer;
        """;

    // In the transaction that ends the job, whatever statement ends it: who hears of a success finds its result and its canvas there,
    // and no success is without its message.
    private const string Announce =
        """
        CREATE FUNCTION announce_llm_job_end() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, job_id, event, payload)
            SELECT gen_random_uuid(), e.tenant_id, e.id, NEW.id, 'job.' || NEW.state,
                   json_build_object(
                       'type', 'job.' || NEW.state,
                       'timestamp', to_char(NEW.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                       'data', json_build_object(
                           'jobId', NEW.id, 'type', NEW.type, 'status', NEW.state, 'attempts', NEW.attempt,
                           'parentId', NEW.parent_id, 'retryOf', NEW.retry_of,
                           'createdAt', to_char(NEW.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                           'finishedAt', to_char(NEW.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                           'error', CASE WHEN NEW.error_code IS NOT NULL
                                         THEN json_build_object('code', NEW.error_code, 'message', NEW.error_message) END))::text
            FROM webhook_endpoints e
            WHERE e.tenant_id = NEW.tenant_id AND e.enabled AND 'job.' || NEW.state = ANY (e.events);
            RETURN NULL;
        END
        $$;

        CREATE TRIGGER tell_webhooks AFTER UPDATE ON llm_jobs
            FOR EACH ROW
            WHEN (NEW.state IN ('succeeded', 'failed', 'cancelled') AND OLD.state IS DISTINCT FROM NEW.state)
            EXECUTE FUNCTION announce_llm_job_end();
        """;

    private const string Deliver =
        """
        -- Deliveries that are due, at most so many of one endpoint under way at a time, so that one that hangs keeps no others waiting.
        -- Who does not come back within the lease has lost it: the delivery is due again.
        CREATE FUNCTION claim_webhook_deliveries(max_rows integer, per_endpoint integer, term interval)
        RETURNS TABLE (id uuid, tenant_id uuid, endpoint_id uuid, url text, sealed bytea, previous_sealed bytea, payload text,
                       attempts integer, lease bigint)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off SET jit = off AS $$
        #variable_conflict use_column
        DECLARE
            present timestamptz := clock_timestamp();
        BEGIN
            RETURN QUERY
            WITH RECURSIVE target (id) AS (
                -- From one endpoint to the next by the index, however many deliveries each has.
                (SELECT d.endpoint_id FROM webhook_deliveries d WHERE d.state = 'pending' ORDER BY d.endpoint_id LIMIT 1)
                UNION ALL
                SELECT (SELECT d.endpoint_id FROM webhook_deliveries d
                        WHERE d.state = 'pending' AND d.endpoint_id > t.id ORDER BY d.endpoint_id LIMIT 1)
                FROM target t WHERE t.id IS NOT NULL),
            due AS MATERIALIZED (
                SELECT head.id
                FROM target t
                JOIN webhook_endpoints e ON e.id = t.id AND e.enabled
                CROSS JOIN LATERAL (
                    SELECT per_endpoint - count(*) AS free FROM webhook_deliveries d
                    WHERE d.endpoint_id = t.id AND d.state = 'pending' AND d.claimed_until IS NOT NULL
                      AND d.claimed_until > present) AS slots
                CROSS JOIN LATERAL (
                    SELECT d.id, d.next_at FROM webhook_deliveries d
                    WHERE d.endpoint_id = t.id AND d.state = 'pending' AND d.next_at <= present
                    ORDER BY d.next_at
                    LIMIT greatest(slots.free, 0)) AS head
                ORDER BY head.next_at
                LIMIT max_rows),
            held AS MATERIALIZED (
                SELECT d.id FROM webhook_deliveries d JOIN due ON due.id = d.id
                WHERE d.state = 'pending' AND d.next_at <= present
                FOR UPDATE OF d SKIP LOCKED),
            claimed AS (
                UPDATE webhook_deliveries d
                SET attempts = d.attempts + 1, lease = d.lease + 1, next_at = present + term, claimed_until = present + term
                FROM held
                WHERE d.id = held.id AND d.state = 'pending' AND d.next_at <= present
                RETURNING d.id, d.tenant_id, d.endpoint_id, d.payload, d.attempts, d.lease)
            SELECT c.id, c.tenant_id, c.endpoint_id, e.url, e.sealed,
                   CASE WHEN e.previous_until > present THEN e.previous_sealed END,
                   c.payload, c.attempts, c.lease
            FROM claimed c JOIN webhook_endpoints e ON e.id = c.endpoint_id;
        END
        $$;

        -- Those that ended longer ago than they are to be kept; first come to their end those whose endpoint is disabled, or gone.
        CREATE FUNCTION prune_webhook_deliveries(keep interval, max_rows integer) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            removed integer;
        BEGIN
            UPDATE webhook_deliveries d
            SET state = 'dead', finished_at = clock_timestamp(), last_error = 'endpoint_disabled', claimed_until = NULL
            WHERE d.state = 'pending' AND d.next_at < clock_timestamp() - interval '24 hours'
              AND NOT EXISTS (SELECT FROM webhook_endpoints e WHERE e.id = d.endpoint_id AND e.enabled);

            WITH old AS MATERIALIZED (
                SELECT d.id FROM webhook_deliveries d
                WHERE d.state <> 'pending' AND d.finished_at < clock_timestamp() - greatest(keep, interval '1 hour')
                ORDER BY d.finished_at
                LIMIT max_rows
                FOR UPDATE SKIP LOCKED)
            DELETE FROM webhook_deliveries d USING old WHERE d.id = old.id;
            GET DIAGNOSTICS removed = ROW_COUNT;
            RETURN removed;
        END
        $$;

        ALTER FUNCTION announce_llm_job_end     OWNER TO valuecanvas_definer;
        ALTER FUNCTION claim_webhook_deliveries OWNER TO valuecanvas_definer;
        ALTER FUNCTION prune_webhook_deliveries OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION announce_llm_job_end, claim_webhook_deliveries, prune_webhook_deliveries FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION claim_webhook_deliveries, prune_webhook_deliveries TO valuecanvas_app;
        """;
}
