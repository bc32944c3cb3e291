using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>What the response cache has kept and saved, and what was invalidated. The answers themselves are in memory and Redis alone.</summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261123000000_ResponseCache")]
internal sealed class ResponseCache : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Tables);
        migrationBuilder.Sql(Rights);
        migrationBuilder.Sql(Recording);
        migrationBuilder.Sql(Invalidating);
    }

    private const string Tables =
        """
        -- One row for each answer that was kept: kept again after it expired, it is another. sum(cost * hit_count) is what was saved.
        CREATE TABLE llm_cache_entries (
            id              uuid        PRIMARY KEY,
            tenant_id       uuid        NOT NULL REFERENCES tenants (id),
            key             bytea       NOT NULL,
            kind            text        NOT NULL CHECK (kind IN ('chat', 'text', 'embeddings')),
            model           text        NOT NULL,
            answered_by     text        NOT NULL,
            provider        text        NULL,
            prompt_key      text        NULL,
            prompt_version  text        NULL,
            tags            text[]      NOT NULL DEFAULT '{}',
            input_tokens    integer     NULL,
            output_tokens   integer     NULL,
            size_bytes      integer     NOT NULL,
            -- US dollars that the one call cost; null where the model has no price.
            cost            numeric     NULL,
            hit_count       bigint      NOT NULL DEFAULT 0,
            created_at      timestamptz NOT NULL DEFAULT now(),
            expires_at      timestamptz NOT NULL,
            last_hit_at     timestamptz NULL
        );
        CREATE INDEX llm_cache_entries_by_tenant ON llm_cache_entries (tenant_id, created_at DESC);
        CREATE INDEX llm_cache_entries_by_expiry ON llm_cache_entries (expires_at);

        CREATE TABLE llm_cache_statistics (
            tenant_id            uuid        NOT NULL REFERENCES tenants (id),
            hour                 timestamptz NOT NULL,
            model                text        NOT NULL,
            prompt_key           text        NOT NULL DEFAULT '',
            hits                 bigint      NOT NULL DEFAULT 0,
            misses               bigint      NOT NULL DEFAULT 0,
            coalesced            bigint      NOT NULL DEFAULT 0,
            stale                bigint      NOT NULL DEFAULT 0,
            saved_input_tokens   bigint      NOT NULL DEFAULT 0,
            saved_output_tokens  bigint      NOT NULL DEFAULT 0,
            PRIMARY KEY (tenant_id, hour, model, prompt_key)
        );

        -- What is dropped, in the order in which it was committed. No tenant: of all of them.
        CREATE TABLE llm_cache_invalidations (
            sequence    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            tenant_id   uuid        NULL REFERENCES tenants (id),
            tag         text        NOT NULL CHECK (length(tag) BETWEEN 1 AND 200),
            created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        CREATE INDEX llm_cache_invalidations_by_time ON llm_cache_invalidations (created_at);
        """;

    private const string Rights =
        """
        ALTER TABLE llm_cache_entries       ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_cache_entries       FORCE  ROW LEVEL SECURITY;
        ALTER TABLE llm_cache_statistics    ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_cache_statistics    FORCE  ROW LEVEL SECURITY;
        ALTER TABLE llm_cache_invalidations ENABLE ROW LEVEL SECURITY;
        ALTER TABLE llm_cache_invalidations FORCE  ROW LEVEL SECURITY;

        CREATE POLICY tenant ON llm_cache_entries
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON llm_cache_statistics
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);
        CREATE POLICY tenant ON llm_cache_invalidations
            USING (tenant_id = NULLIF(current_setting('app.tenant_id', true), '')::uuid);

        GRANT SELECT ON llm_cache_entries, llm_cache_statistics, llm_cache_invalidations TO valuecanvas_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON llm_cache_entries, llm_cache_statistics TO valuecanvas_definer;
        GRANT SELECT, INSERT, DELETE ON llm_cache_invalidations TO valuecanvas_definer;
        GRANT SELECT ON tenants TO valuecanvas_definer;
        """;

    // Groups are of all tenants, which is why it looks across them: it adds to counts, and reads nothing.
    private const string Recording =
        """
        CREATE FUNCTION record_llm_cache(entries jsonb, counts jsonb) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            INSERT INTO llm_cache_entries AS kept (
                id, tenant_id, key, kind, model, answered_by, provider, prompt_key, prompt_version, tags, input_tokens, output_tokens, size_bytes,
                cost, hit_count, created_at, expires_at, last_hit_at)
            SELECT
                e.id, e.tenant_id, e.key, e.kind, e.model, e.answered_by, e.provider, e.prompt_key, e.prompt_version, e.tags, e.input_tokens,
                e.output_tokens, e.size_bytes, e.cost, e.hits, e.created_at, e.expires_at, e.last_hit_at
            FROM jsonb_to_recordset(entries) AS e (
                id uuid, tenant_id uuid, key bytea, kind text, model text, answered_by text, provider text, prompt_key text, prompt_version text,
                tags text[], input_tokens integer, output_tokens integer, size_bytes integer, cost numeric, hits bigint, created_at timestamptz,
                expires_at timestamptz, last_hit_at timestamptz)
            WHERE EXISTS (SELECT FROM tenants t WHERE t.id = e.tenant_id)
            ORDER BY e.id
            ON CONFLICT (id) DO UPDATE
            SET hit_count = kept.hit_count + excluded.hit_count,
                cost = coalesce(excluded.cost, kept.cost),
                last_hit_at = greatest(kept.last_hit_at, excluded.last_hit_at)
            WHERE kept.tenant_id = excluded.tenant_id;

            INSERT INTO llm_cache_statistics AS counted (
                tenant_id, hour, model, prompt_key, hits, misses, coalesced, stale, saved_input_tokens, saved_output_tokens)
            SELECT
                c.tenant_id, c.hour, c.model, c.prompt_key, sum(c.hits), sum(c.misses), sum(c.coalesced), sum(c.stale), sum(c.saved_input_tokens),
                sum(c.saved_output_tokens)
            FROM jsonb_to_recordset(counts) AS c (
                tenant_id uuid, hour timestamptz, model text, prompt_key text, hits bigint, misses bigint, coalesced bigint, stale bigint,
                saved_input_tokens bigint, saved_output_tokens bigint)
            WHERE EXISTS (SELECT FROM tenants t WHERE t.id = c.tenant_id)
            GROUP BY c.tenant_id, c.hour, c.model, c.prompt_key
            ORDER BY c.tenant_id, c.hour, c.model, c.prompt_key
            ON CONFLICT (tenant_id, hour, model, prompt_key) DO UPDATE
            SET hits = counted.hits + excluded.hits,
                misses = counted.misses + excluded.misses,
                coalesced = counted.coalesced + excluded.coalesced,
                stale = counted.stale + excluded.stale,
                saved_input_tokens = counted.saved_input_tokens + excluded.saved_input_tokens,
                saved_output_tokens = counted.saved_output_tokens + excluded.saved_output_tokens;
        END
        $$;

        CREATE FUNCTION prune_llm_cache(keep_rows interval, keep_invalidations interval, max_rows integer) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            DELETE FROM llm_cache_entries WHERE id IN (
                SELECT e.id FROM llm_cache_entries e WHERE e.expires_at < clock_timestamp() - greatest(keep_rows, interval '1 day')
                ORDER BY e.expires_at LIMIT max_rows);
            DELETE FROM llm_cache_statistics s WHERE s.hour < clock_timestamp() - greatest(keep_rows, interval '1 day');
            -- The last one stays: by it instances that start know where they are.
            DELETE FROM llm_cache_invalidations i
            WHERE i.created_at < clock_timestamp() - greatest(keep_invalidations, interval '1 day')
              AND i.sequence < (SELECT max(l.sequence) FROM llm_cache_invalidations l);
        END
        $$;

        ALTER FUNCTION record_llm_cache OWNER TO valuecanvas_definer;
        ALTER FUNCTION prune_llm_cache OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION record_llm_cache, prune_llm_cache FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION record_llm_cache, prune_llm_cache TO valuecanvas_app;
        """;

    private const string Invalidating =
        """
        -- A tenant's own; with app.cache_all, which the API sets for operators alone, everybody's.
        CREATE FUNCTION invalidate_llm_cache(owner uuid, names text[]) RETURNS bigint
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            last bigint;
        BEGIN
            IF owner IS NULL AND current_setting('app.cache_all', true) IS DISTINCT FROM 'on'
               OR owner IS NOT NULL AND owner IS DISTINCT FROM NULLIF(current_setting('app.tenant_id', true), '')::uuid THEN
                RAISE insufficient_privilege USING MESSAGE = 'Only a tenant''s own answers can be dropped.';
            END IF;
            -- Until the commit: who follows by number must never see a later one first.
            PERFORM pg_advisory_xact_lock(hashtext('llm_cache_invalidations'));
            INSERT INTO llm_cache_invalidations (tenant_id, tag) SELECT owner, name FROM unnest(names) AS name;
            SELECT max(i.sequence) INTO last FROM llm_cache_invalidations i;
            RETURN last;
        END
        $$;

        CREATE FUNCTION llm_cache_invalidations_after(known bigint, most integer)
        RETURNS TABLE (sequence bigint, tenant_id uuid, tag text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT i.sequence, i.tenant_id, i.tag FROM llm_cache_invalidations i WHERE i.sequence > known ORDER BY i.sequence LIMIT most
        $$;

        ALTER FUNCTION invalidate_llm_cache OWNER TO valuecanvas_definer;
        ALTER FUNCTION llm_cache_invalidations_after OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION invalidate_llm_cache, llm_cache_invalidations_after FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION invalidate_llm_cache, llm_cache_invalidations_after TO valuecanvas_app;
        """;
}
