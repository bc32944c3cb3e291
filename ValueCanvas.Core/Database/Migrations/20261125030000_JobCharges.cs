using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// A job may ask its model more than once: its worker was lost, or woke up after another had taken the job over. The tenant gets one
/// result, and pays one answer to each question of it.
/// </summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261125030000_JobCharges")]
internal sealed class JobCharges : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Column);
        migrationBuilder.Sql(Record);
    }

    private const string Column =
        """
        ALTER TABLE llm_usage ADD COLUMN job_question integer NULL;
        -- Rows from before have no question, and no two of them are the same.
        CREATE UNIQUE INDEX llm_usage_one_charge ON llm_usage (job_id, job_question) WHERE job_id IS NOT NULL AND cost > 0;
        """;

    // As it was, but for what a job pays.
    private const string Record =
        """
        CREATE OR REPLACE FUNCTION record_usage(calls jsonb) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            written integer;
        BEGIN
            -- Two attempts of a job may end at the same time, in two processes: the second waits, and sees that the first has paid. In one
            -- order, so that none waits in a circle.
            IF jsonb_path_exists(calls, '$[*].job_id') THEN
                PERFORM pg_advisory_xact_lock(hashtextextended('job charge ' || job.id, 0))
                FROM (SELECT DISTINCT c.job_id AS id
                      FROM jsonb_to_recordset(calls) AS c (job_id uuid, cost numeric)
                      WHERE c.job_id IS NOT NULL AND c.cost > 0
                      ORDER BY 1) AS job;
            END IF;

            WITH given AS (
                SELECT c.* FROM jsonb_to_recordset(calls) AS c (
                    id uuid, tenant_id uuid, created_at timestamptz, user_id uuid, api_key_id uuid, job_id uuid, job_question integer,
                    route text, prompt_key text, prompt_version text, requested_model text, model text, provider text, streamed boolean,
                    status text, http_status integer, cache text, input_tokens integer, cached_tokens integer, output_tokens integer,
                    reasoning_tokens integer, usage_source text, cost numeric, replica_seconds double precision, replica_cost numeric,
                    latency_ms double precision, first_byte_ms double precision, attempts jsonb)
            ), charged AS (
                -- To each question of a job the first whole answer; and what was written until the tenant called the job off.
                SELECT DISTINCT ON (g.job_id, g.job_question) g.id
                FROM given g
                WHERE g.job_id IS NOT NULL AND g.cost > 0
                  AND (g.status = 'completed'
                    OR EXISTS (SELECT FROM llm_jobs j WHERE j.id = g.job_id AND j.state = 'cancelled'))
                  AND NOT EXISTS (
                    SELECT FROM llm_usage u WHERE u.job_id = g.job_id AND u.job_question = g.job_question AND u.cost > 0)
                ORDER BY g.job_id, g.job_question, g.id
            ), added AS (
                INSERT INTO llm_usage (
                    id, tenant_id, created_at, user_id, api_key_id, job_id, job_question, route, prompt_key, prompt_version,
                    requested_model, model, provider, streamed, status, http_status, cached, cache, input_tokens, cached_tokens,
                    output_tokens, reasoning_tokens, usage_source, cost, replica_seconds, replica_cost, latency_ms, first_byte_ms)
                SELECT
                    g.id, g.tenant_id, g.created_at, g.user_id, g.api_key_id, g.job_id, g.job_question, g.route, g.prompt_key,
                    g.prompt_version, g.requested_model, g.model, g.provider, g.streamed, g.status, g.http_status,
                    g.cache IN ('hit', 'stale'), g.cache, g.input_tokens, g.cached_tokens, g.output_tokens, g.reasoning_tokens,
                    g.usage_source,
                    CASE WHEN g.job_id IS NULL OR g.cost IS NULL OR c.id IS NOT NULL THEN g.cost ELSE 0 END,
                    g.replica_seconds, g.replica_cost, g.latency_ms, g.first_byte_ms
                FROM given g LEFT JOIN charged c ON c.id = g.id
                ORDER BY g.id
                ON CONFLICT (id) DO NOTHING
                RETURNING *
            ), tried AS (
                INSERT INTO llm_attempts (
                    call_id, tenant_id, number, created_at, target, provider, model, ended, hedge, answer, took_ms, replica_ms,
                    input_tokens, output_tokens)
                SELECT
                    a.id, a.tenant_id, t.number, a.created_at, t.target, t.provider, t.model, t.ended, t.hedge, t.answer, t.took_ms,
                    t.replica_ms, t.input_tokens, t.output_tokens
                FROM added a
                JOIN given g ON g.id = a.id
                CROSS JOIN LATERAL jsonb_to_recordset(g.attempts) AS t (
                    number integer, target text, provider text, model text, ended text, hedge boolean, answer boolean,
                    took_ms double precision, replica_ms double precision, input_tokens integer, output_tokens integer)
                WHERE g.attempts IS NOT NULL
                ON CONFLICT DO NOTHING
            ), summed AS (
                -- Of what came from the cache, or from another's call, no model did anything.
                INSERT INTO model_usage AS m (
                    tenant_id, day, model, provider, api_key_id, prompt_key, calls, failed, cached, input_tokens, cached_tokens,
                    output_tokens, reasoning_tokens, cost, replica_seconds, replica_cost)
                SELECT
                    a.tenant_id, (a.created_at AT TIME ZONE 'UTC')::date, coalesce(a.model, a.requested_model, ''),
                    coalesce(a.provider, ''), a.api_key_id, a.prompt_key, count(*),
                    count(*) FILTER (WHERE a.status IN ('failed', 'written_off')), count(*) FILTER (WHERE a.cached),
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
        """;
}
