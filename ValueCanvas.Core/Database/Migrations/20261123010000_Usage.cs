using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>The books: what every call of a model cost, what it may cost, and what services saw of themselves.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261123010000_Usage")]
internal sealed class Usage : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Calls);
        migrationBuilder.Sql(Settings);
        migrationBuilder.Sql(Operation);
        migrationBuilder.Sql(Isolation);
        migrationBuilder.Sql(UsageFunctions.Record);
        migrationBuilder.Sql(UsageFunctions.Budgets);
    }

    // A row outlives its tenant, and a bill is never refused for a reference: no foreign keys.
    private const string Calls =
        """
        CREATE TABLE llm_usage (
            id                uuid            PRIMARY KEY,
            tenant_id         uuid            NOT NULL,
            created_at        timestamptz     NOT NULL,
            user_id           uuid            NULL,
            api_key_id        uuid            NULL,
            job_id            uuid            NULL,
            route             text            NOT NULL,
            prompt_key        text            NULL,
            prompt_version    text            NULL,
            requested_model   text            NULL,
            model             text            NULL,
            provider          text            NULL,
            streamed          boolean         NOT NULL,
            status            text            NOT NULL CHECK (status IN ('completed', 'cancelled', 'failed', 'written_off')),
            http_status       integer         NULL,
            -- From the cache; cache says in which way: bypass, miss, hit, stale, coalesced.
            cached            boolean         NOT NULL,
            cache             text            NOT NULL,
            input_tokens      integer         NOT NULL,
            cached_tokens     integer         NOT NULL,
            output_tokens     integer         NOT NULL,
            reasoning_tokens  integer         NOT NULL,
            usage_source      text            NOT NULL CHECK (usage_source IN ('reported', 'running', 'estimated')),
            -- US dollars; NULL where the model had no price.
            cost              numeric(20, 10) NULL,
            replica_seconds   double precision NOT NULL,
            replica_cost      numeric(20, 10) NULL,
            latency_ms        double precision NOT NULL,
            first_byte_ms     double precision NULL
        );

        CREATE INDEX llm_usage_by_tenant ON llm_usage (tenant_id, created_at);
        CREATE INDEX llm_usage_by_time   ON llm_usage USING brin (created_at);

        -- What was done for a call beside its answer, or broke in it: hedges, retries. Nobody is billed by it.
        CREATE TABLE llm_attempts (
            call_id        uuid             NOT NULL,
            tenant_id      uuid             NOT NULL,
            number         integer          NOT NULL,
            created_at     timestamptz      NOT NULL,
            target         text             NOT NULL,
            provider       text             NOT NULL,
            model          text             NOT NULL,
            ended          text             NOT NULL,
            hedge          boolean          NOT NULL,
            answer         boolean          NOT NULL,
            took_ms        double precision NOT NULL,
            replica_ms     double precision NOT NULL,
            input_tokens   integer          NULL,
            output_tokens  integer          NULL,
            PRIMARY KEY (call_id, number)
        );

        -- The same by day: what budgets and reports read.
        CREATE TABLE model_usage (
            tenant_id         uuid             NOT NULL,
            day               date             NOT NULL,
            model             text             NOT NULL,
            provider          text             NOT NULL,
            api_key_id        uuid             NULL,
            prompt_key        text             NULL,
            calls             bigint           NOT NULL,
            failed            bigint           NOT NULL,
            cached            bigint           NOT NULL,
            input_tokens      bigint           NOT NULL,
            cached_tokens     bigint           NOT NULL,
            output_tokens     bigint           NOT NULL,
            reasoning_tokens  bigint           NOT NULL,
            cost              numeric(24, 10)  NOT NULL,
            replica_seconds   double precision NOT NULL,
            replica_cost      numeric(24, 10)  NOT NULL,
            UNIQUE NULLS NOT DISTINCT (tenant_id, day, model, provider, api_key_id, prompt_key)
        );
        """;

    private const string Settings =
        """
        CREATE TABLE tenant_budgets (
            tenant_id   uuid           PRIMARY KEY REFERENCES tenants (id),
            amount      numeric(14, 4) NOT NULL CHECK (amount > 0),
            period      text           NOT NULL CHECK (period IN ('day', 'week', 'month', 'total')),
            mode        text           NOT NULL DEFAULT 'estimate' CHECK (mode IN ('estimate', 'strict')),
            alert_at    integer[]      NOT NULL,
            -- By an operator: the tenant cannot change it.
            locked      boolean        NOT NULL DEFAULT false,
            updated_at  timestamptz    NOT NULL DEFAULT clock_timestamp()
        );

        CREATE TABLE usage_alerts (
            tenant_id     uuid           NOT NULL REFERENCES tenants (id),
            api_key_id    uuid           NULL,
            period        text           NOT NULL,
            period_start  date           NOT NULL,
            threshold     integer        NOT NULL,
            amount        numeric(14, 4) NOT NULL,
            spent         numeric(24, 10) NOT NULL,
            created_at    timestamptz    NOT NULL DEFAULT clock_timestamp(),
            UNIQUE NULLS NOT DISTINCT (tenant_id, api_key_id, period, period_start, threshold, amount)
        );

        -- US dollars per million tokens, from a day (UTC) on. Of the installation.
        CREATE TABLE model_prices (
            model         text           NOT NULL,
            provider      text           NOT NULL DEFAULT '',
            valid_from    date           NOT NULL,
            input         numeric(16, 6) NOT NULL CHECK (input >= 0),
            cached_input  numeric(16, 6) NULL CHECK (cached_input >= 0),
            output        numeric(16, 6) NOT NULL CHECK (output >= 0),
            reasoning     numeric(16, 6) NULL CHECK (reasoning >= 0),
            updated_at    timestamptz    NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (model, provider, valid_from)
        );

        -- One row: what every instance asks for, to know whether a budget or a price was changed.
        CREATE TABLE usage_revision (
            only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
            revision  bigint  NOT NULL
        );
        INSERT INTO usage_revision (revision) VALUES (1);

        CREATE FUNCTION raise_usage_revision() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            UPDATE usage_revision SET revision = revision + 1;
            RETURN NULL;
        END
        $$;

        CREATE TRIGGER raise_revision AFTER INSERT OR UPDATE OR DELETE ON tenant_budgets
            FOR EACH STATEMENT EXECUTE FUNCTION raise_usage_revision();
        CREATE TRIGGER raise_revision AFTER INSERT OR UPDATE OR DELETE ON model_prices
            FOR EACH STATEMENT EXECUTE FUNCTION raise_usage_revision();
        CREATE TRIGGER raise_usage_revision_added AFTER INSERT ON api_keys
            FOR EACH ROW WHEN (NEW.budget_amount IS NOT NULL) EXECUTE FUNCTION raise_usage_revision();
        CREATE TRIGGER raise_usage_revision_changed AFTER UPDATE OF budget_amount, budget_period, revoked_at ON api_keys
            FOR EACH ROW WHEN (NEW.budget_amount IS NOT NULL OR OLD.budget_amount IS NOT NULL) EXECUTE FUNCTION raise_usage_revision();

        ALTER FUNCTION raise_usage_revision OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION raise_usage_revision FROM PUBLIC;
        GRANT SELECT, UPDATE ON usage_revision TO valuecanvas_definer;
        """;

    // What services saw of themselves; monitoring, not a bill: rows may be missing after a crash.
    private const string Operation =
        """
        CREATE TABLE request_logs (
            id           bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            created_at   timestamptz      NOT NULL,
            method       text             NOT NULL,
            route        text             NOT NULL,
            status       integer          NOT NULL,
            duration_ms  double precision NOT NULL,
            -- NULL: nobody had been recognised.
            tenant_id    uuid             NULL,
            user_id      uuid             NULL,
            api_key_id   uuid             NULL,
            trace_id     text             NULL,
            instance     text             NOT NULL
        );
        CREATE INDEX request_logs_by_time ON request_logs (created_at);
        CREATE INDEX request_logs_by_tenant ON request_logs (tenant_id, created_at);

        CREATE TABLE system_metrics (
            created_at  timestamptz      NOT NULL,
            instance    text             NOT NULL,
            name        text             NOT NULL,
            value       double precision NOT NULL,
            PRIMARY KEY (name, created_at, instance)
        );
        CREATE INDEX system_metrics_by_time ON system_metrics (created_at);
        """;

    private const string Isolation =
        """
        ALTER TABLE llm_usage      ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_usage      FORCE  ROW LEVEL SECURITY;
        ALTER TABLE llm_attempts   ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_attempts   FORCE  ROW LEVEL SECURITY;
        ALTER TABLE model_usage    ENABLE ROW LEVEL SECURITY;
        ALTER TABLE model_usage    FORCE  ROW LEVEL SECURITY;
        ALTER TABLE tenant_budgets ENABLE ROW LEVEL SECURITY;
        ALTER TABLE tenant_budgets FORCE  ROW LEVEL SECURITY;
        ALTER TABLE usage_alerts   ENABLE ROW LEVEL SECURITY;
        ALTER TABLE usage_alerts   FORCE  ROW LEVEL SECURITY;
        ALTER TABLE request_logs   ENABLE ROW LEVEL SECURITY;
        ALTER TABLE request_logs   FORCE  ROW LEVEL SECURITY;

        CREATE POLICY tenant ON llm_usage      USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON llm_attempts   USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON model_usage    USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON tenant_budgets USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON usage_alerts   USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON request_logs   USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);

        -- Rows come by functions only, which look across tenants: a group of rows is of many.
        GRANT SELECT                         ON llm_usage      TO valuecanvas_app;
        GRANT SELECT                         ON llm_attempts   TO valuecanvas_app;
        GRANT SELECT                         ON model_usage    TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_budgets TO valuecanvas_app;
        GRANT SELECT, INSERT                 ON usage_alerts   TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON model_prices   TO valuecanvas_app;
        GRANT SELECT                         ON usage_revision TO valuecanvas_app;
        GRANT SELECT                         ON request_logs   TO valuecanvas_app;
        GRANT SELECT, INSERT, DELETE         ON system_metrics TO valuecanvas_app;

        GRANT SELECT, INSERT         ON llm_usage      TO valuecanvas_definer;
        GRANT SELECT, INSERT         ON llm_attempts   TO valuecanvas_definer;
        GRANT SELECT, INSERT, UPDATE ON model_usage    TO valuecanvas_definer;
        GRANT SELECT                 ON tenant_budgets TO valuecanvas_definer;
        GRANT SELECT, INSERT, DELETE ON request_logs   TO valuecanvas_definer;
        """;
}
