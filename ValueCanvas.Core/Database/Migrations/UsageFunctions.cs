namespace ValueCanvas.Core.Database.Migrations;

/// <summary>What the books need across tenants: the functions of the migration <see cref="Usage"/>.</summary>
internal static class UsageFunctions
{
    public const string Record =
        """
        -- A group of rows with all that follows from them. Of a row that is there already nothing is done again. In the order of their
        -- keys, so that instances which write at the same time wait for each other and never in a circle.
        CREATE FUNCTION record_usage(calls jsonb) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            written integer;
        BEGIN
            WITH given AS (
                SELECT c.* FROM jsonb_to_recordset(calls) AS c (
                    id uuid, tenant_id uuid, created_at timestamptz, user_id uuid, api_key_id uuid, job_id uuid, route text,
                    prompt_key text,
                    prompt_version text, requested_model text, model text, provider text, streamed boolean, status text,
                    http_status integer,
                    cache text, input_tokens integer, cached_tokens integer, output_tokens integer, reasoning_tokens integer,
                    usage_source text,
                    cost numeric, replica_seconds double precision, replica_cost numeric, latency_ms double precision,
                    first_byte_ms double precision, attempts jsonb)
            ), added AS (
                INSERT INTO llm_usage (
                    id, tenant_id, created_at, user_id, api_key_id, job_id, route, prompt_key, prompt_version, requested_model, model,
                    provider,
                    streamed, status, http_status, cached, cache, input_tokens, cached_tokens, output_tokens, reasoning_tokens,
                    usage_source, cost,
                    replica_seconds, replica_cost, latency_ms, first_byte_ms)
                SELECT
                    g.id, g.tenant_id, g.created_at, g.user_id, g.api_key_id, g.job_id, g.route, g.prompt_key, g.prompt_version,
                    g.requested_model, g.model, g.provider, g.streamed, g.status, g.http_status, g.cache IN ('hit', 'stale'), g.cache,
                    g.input_tokens, g.cached_tokens, g.output_tokens, g.reasoning_tokens, g.usage_source, g.cost, g.replica_seconds,
                    g.replica_cost, g.latency_ms, g.first_byte_ms
                FROM given g
                ORDER BY g.id
                ON CONFLICT (id) DO NOTHING
                RETURNING *
            ), tried AS (
                INSERT INTO llm_attempts (
                    call_id, tenant_id, number, created_at, target, provider, model, ended, hedge, answer, took_ms, replica_ms,
                    input_tokens,
                    output_tokens)
                SELECT
                    a.id, a.tenant_id, t.number, a.created_at, t.target, t.provider, t.model, t.ended, t.hedge, t.answer, t.took_ms,
                    t.replica_ms,
                    t.input_tokens, t.output_tokens
                FROM added a
                JOIN given g ON g.id = a.id
                CROSS JOIN LATERAL jsonb_to_recordset(g.attempts) AS t (
                    number integer, target text, provider text, model text, ended text, hedge boolean, answer boolean,
                    took_ms double precision,
                    replica_ms double precision, input_tokens integer, output_tokens integer)
                WHERE g.attempts IS NOT NULL
                ON CONFLICT DO NOTHING
            ), summed AS (
                -- Of what came from the cache, or from another's call, no model did anything.
                INSERT INTO model_usage AS m (
                    tenant_id, day, model, provider, api_key_id, prompt_key, calls, failed, cached, input_tokens, cached_tokens,
                    output_tokens,
                    reasoning_tokens, cost, replica_seconds, replica_cost)
                SELECT
                    a.tenant_id, (a.created_at AT TIME ZONE 'UTC')::date, coalesce(a.model, a.requested_model, ''),
                    coalesce(a.provider, ''),
                    a.api_key_id, a.prompt_key, count(*), count(*) FILTER (WHERE a.status IN ('failed', 'written_off')),
                    count(*) FILTER (WHERE a.cached),
                    coalesce(sum(a.input_tokens) FILTER (WHERE a.cache NOT IN ('hit', 'stale', 'coalesced')), 0),
                    coalesce(sum(a.cached_tokens) FILTER (WHERE a.cache NOT IN ('hit', 'stale', 'coalesced')), 0),
                    coalesce(sum(a.output_tokens) FILTER (WHERE a.cache NOT IN ('hit', 'stale', 'coalesced')), 0),
                    coalesce(sum(a.reasoning_tokens) FILTER (WHERE a.cache NOT IN ('hit', 'stale', 'coalesced')), 0),
                    coalesce(sum(a.cost), 0), sum(a.replica_seconds), coalesce(sum(a.replica_cost), 0)
                FROM added a
                GROUP BY 1, 2, 3, 4, 5, 6
                ORDER BY 1, 2, 3, 4, 5, 6
                ON CONFLICT (tenant_id, day, model, provider, api_key_id, prompt_key) DO UPDATE SET
                    calls = m.calls + excluded.calls, failed = m.failed + excluded.failed, cached = m.cached + excluded.cached,
                    input_tokens = m.input_tokens + excluded.input_tokens, cached_tokens = m.cached_tokens + excluded.cached_tokens,
                    output_tokens = m.output_tokens + excluded.output_tokens,
                    reasoning_tokens = m.reasoning_tokens + excluded.reasoning_tokens, cost = m.cost + excluded.cost,
                    replica_seconds = m.replica_seconds + excluded.replica_seconds, replica_cost = m.replica_cost + excluded.replica_cost
            )
            SELECT count(*) INTO written FROM added;
            RETURN written;
        END
        $$;

        -- Requests that one instance answered in the last while, of any tenant or of none.
        CREATE FUNCTION record_requests(requests jsonb) RETURNS void
        LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
            INSERT INTO request_logs (created_at, method, route, status, duration_ms, tenant_id, user_id, api_key_id, trace_id, instance)
            SELECT r.created_at, r.method, r.route, r.status, r.duration_ms, r.tenant_id, r.user_id, r.api_key_id, r.trace_id, r.instance
            FROM jsonb_to_recordset(requests) AS r (
                created_at timestamptz, method text, route text, status integer, duration_ms double precision, tenant_id uuid, user_id uuid,
                api_key_id uuid, trace_id text, instance text)
        $$;

        CREATE FUNCTION prune_request_logs(keep interval) RETURNS void
        LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
            DELETE FROM request_logs WHERE created_at < clock_timestamp() - keep
        $$;

        ALTER FUNCTION record_usage       OWNER TO valuecanvas_definer;
        ALTER FUNCTION record_requests    OWNER TO valuecanvas_definer;
        ALTER FUNCTION prune_request_logs OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION record_usage, record_requests, prune_request_logs FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION record_usage, record_requests, prune_request_logs TO valuecanvas_app;
        """;

    public const string Budgets =
        """
        -- Of every tenant: each instance keeps them in memory, so that a call which has none costs nothing. A key's budget is kept as its
        -- tenant's is.
        CREATE FUNCTION all_budgets() RETURNS TABLE (
            tenant_id uuid, api_key_id uuid, amount numeric, period text, mode text, alert_at integer[])
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT b.tenant_id, NULL::uuid, b.amount, b.period, b.mode, b.alert_at FROM tenant_budgets b
            UNION ALL
            SELECT k.tenant_id, k.id, k.budget_amount, k.budget_period, coalesce(b.mode, 'estimate'),
                coalesce(b.alert_at, ARRAY[50, 80, 100])
            FROM api_keys k LEFT JOIN tenant_budgets b ON b.tenant_id = k.tenant_id
            WHERE k.budget_amount IS NOT NULL AND k.revoked_at IS NULL
        $$;

        ALTER FUNCTION all_budgets OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION all_budgets FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION all_budgets TO valuecanvas_app;
        """;
}
