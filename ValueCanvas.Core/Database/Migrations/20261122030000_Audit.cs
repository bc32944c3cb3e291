using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>The audit log: who did what, and what was refused. Rows are only ever added, and go when their time is over.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261122030000_Audit")]
internal sealed class Audit : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Table);
        migrationBuilder.Sql(Rights);
        migrationBuilder.Sql(Pruning);
    }

    // No foreign key to the tenant: what was done outlives whom it was done to. No tenant: nobody had signed in, or the system did it.
    private const string Table =
        """
        CREATE TABLE audit_log (
            id            uuid        PRIMARY KEY,
            tenant_id     uuid        NULL,
            occurred_at   timestamptz NOT NULL,
            recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
            event         text        NOT NULL CHECK (length(event) BETWEEN 1 AND 100),
            outcome       text        NOT NULL CHECK (outcome IN ('success', 'failure', 'denied')),
            actor_kind    text        NOT NULL CHECK (actor_kind IN ('anonymous', 'user', 'api_key', 'operator', 'system')),
            actor_id      text        NULL CHECK (length(actor_id) <= 200),
            subject_kind  text        NULL CHECK (length(subject_kind) <= 100),
            subject_id    text        NULL CHECK (length(subject_id) <= 200),
            trace_id      text        NULL CHECK (length(trace_id) <= 100),
            -- HMAC of the caller's network address, never the address.
            source        text        NULL CHECK (length(source) <= 64),
            details       jsonb       NULL
        );

        CREATE INDEX audit_log_by_tenant ON audit_log (tenant_id, occurred_at DESC, id DESC);
        CREATE INDEX audit_log_by_time ON audit_log (occurred_at DESC, id DESC);
        CREATE INDEX audit_log_by_event ON audit_log (event, occurred_at DESC, id DESC);
        CREATE INDEX audit_log_by_actor ON audit_log (actor_id, occurred_at DESC, id DESC) WHERE actor_id IS NOT NULL;
        """;

    private const string Rights =
        """
        ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;
        ALTER TABLE audit_log FORCE  ROW LEVEL SECURITY;

        CREATE POLICY read_tenant ON audit_log FOR SELECT
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        -- An operator's look across tenants; the API sets it in no other transaction.
        CREATE POLICY read_all ON audit_log FOR SELECT
            USING (current_setting('app.audit_all', true) = 'on');
        CREATE POLICY append ON audit_log FOR INSERT
            WITH CHECK (tenant_id IS NULL OR tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);

        GRANT SELECT, INSERT ON audit_log TO valuecanvas_app;
        GRANT SELECT, DELETE ON audit_log TO valuecanvas_definer;
        """;

    // The one way out of the log. Whoever holds the application's password still cannot remove what happened in the last 30 days.
    private const string Pruning =
        """
        CREATE FUNCTION prune_audit_log(keep interval, keep_denied interval, max_rows integer) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            removed integer;
        BEGIN
            WITH old AS MATERIALIZED (
                SELECT l.id
                FROM audit_log l
                WHERE l.occurred_at < clock_timestamp() - greatest(least(keep, keep_denied), interval '30 days')
                  AND l.recorded_at < clock_timestamp() - interval '30 days'
                  AND (l.occurred_at < clock_timestamp() - greatest(keep, interval '30 days')
                       OR l.outcome = 'denied' AND l.occurred_at < clock_timestamp() - greatest(keep_denied, interval '30 days'))
                ORDER BY l.occurred_at
                LIMIT max_rows)
            DELETE FROM audit_log l USING old WHERE l.id = old.id;
            GET DIAGNOSTICS removed = ROW_COUNT;
            RETURN removed;
        END
        $$;

        ALTER FUNCTION prune_audit_log OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION prune_audit_log FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION prune_audit_log TO valuecanvas_app;
        """;
}
