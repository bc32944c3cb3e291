namespace ValueCanvas.Core.Database.Migrations;

/// <summary>The claim of the queue, with one plan however large the table is and however few jobs waited when it was analysed.</summary>
internal static class ClaimFunction
{
    /// <summary>
    /// Start-time fair queueing over tenants. A job's tag is what its tenant has had before it, by weight; the lowest tags run first. A
    /// tenant that comes back begins where the queue is, so it neither saves up turns nor waits for those it did not take. How many jobs
    /// wait changes faster than what PostgreSQL knows of it, so what it may choose from is told: loops over indexes, in their order.
    /// </summary>
    public const string Text =
        """
        CREATE OR REPLACE FUNCTION claim_llm_jobs(worker text, max_jobs integer, lease interval) RETURNS SETOF llm_jobs
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET jit = off
        SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
        SET enable_hashjoin = off SET enable_mergejoin = off AS $$
        #variable_conflict use_column
        DECLARE
            present timestamptz;
            clock   double precision;
        BEGIN
            IF max_jobs < 1 THEN
                RETURN;
            END IF;

            -- One claim at a time: what it counts and whose turn it sees is then true until it has committed, which makes caps exact. Held
            -- for a few milliseconds; nothing below waits for another transaction.
            PERFORM pg_advisory_xact_lock(hashtextextended('claim_llm_jobs', 0));
            present := clock_timestamp();
            SELECT c.vtime INTO clock FROM llm_job_clock c;

            RETURN QUERY
            WITH RECURSIVE tenant (id) AS (
                -- From one tenant to the next by the index, however many jobs each has.
                (SELECT j.tenant_id FROM llm_jobs j WHERE j.state IN ('queued', 'retryable') ORDER BY j.tenant_id LIMIT 1)
                UNION ALL
                SELECT (SELECT j.tenant_id FROM llm_jobs j
                        WHERE j.state IN ('queued', 'retryable') AND j.tenant_id > t.id ORDER BY j.tenant_id LIMIT 1)
                FROM tenant t WHERE t.id IS NOT NULL),
            candidate AS MATERIALIZED (
                SELECT t.id AS tenant_id,
                       greatest(coalesce(s.vtime, 0), clock) AS vtime,
                       coalesce(l.weight, 1)::double precision AS weight,
                       least(max_jobs, l.max_running - running.jobs)::integer AS free
                FROM tenant t
                LEFT JOIN llm_job_shares s ON s.tenant = t.id
                LEFT JOIN llm_job_limits l ON l.tenant_id = t.id
                CROSS JOIN LATERAL (
                    SELECT count(*) AS jobs FROM llm_jobs j
                    WHERE l.max_running IS NOT NULL AND j.tenant_id = t.id AND j.state = 'running') AS running
                -- One probe for each tenant; as an EXISTS it may become a join that reads all that waits.
                CROSS JOIN LATERAL (
                    SELECT 1 AS one FROM llm_jobs j
                    WHERE j.tenant_id = t.id AND j.state IN ('queued', 'retryable') AND j.priority IN (1, 2, 3, 4, 5)
                      AND j.run_at <= present AND (j.deadline_at IS NULL OR j.deadline_at > present)
                    LIMIT 1) AS waits
                WHERE t.id IS NOT NULL
                  AND NOT coalesce(l.paused, false)
                  AND (l.max_running IS NULL OR running.jobs < l.max_running)
                ORDER BY 2
                LIMIT max_jobs),
            due AS MATERIALIZED (
                SELECT job.id, c.tenant_id, c.vtime + (job.turn - 1) / c.weight AS starts, c.vtime + job.turn / c.weight AS ends
                FROM candidate c
                CROSS JOIN LATERAL (
                    -- A minute of waiting is worth a step of priority.
                    SELECT head.id,
                           row_number() OVER (
                               ORDER BY greatest(1, head.priority - floor(extract(epoch FROM present - head.run_at) / 60)),
                                        head.run_at, head.id
                           ) AS turn
                    FROM generate_series(1, 5) AS step (priority)
                    CROSS JOIN LATERAL (
                        SELECT j.id, j.priority, j.run_at FROM llm_jobs j
                        WHERE j.tenant_id = c.tenant_id AND j.state IN ('queued', 'retryable') AND j.priority = step.priority
                          AND j.run_at <= present AND (j.deadline_at IS NULL OR j.deadline_at > present)
                        ORDER BY j.run_at, j.id
                        LIMIT c.free) AS head
                    ORDER BY 2
                    LIMIT c.free) AS job),
            chosen AS MATERIALIZED (
                SELECT d.id, d.tenant_id, d.starts, d.ends FROM due d ORDER BY d.starts, d.ends, d.tenant_id LIMIT max_jobs),
            held AS MATERIALIZED (
                SELECT j.id
                FROM chosen c JOIN llm_jobs j ON j.id = c.id
                -- One look each by the primary key: as a plain column it may become a look at all that waits for each of them.
                WHERE coalesce(j.state, '') IN ('queued', 'retryable')
                FOR UPDATE OF j SKIP LOCKED),
            claimed AS (
                UPDATE llm_jobs j
                SET state = 'running',
                    attempt = j.attempt + 1,
                    run_lease = j.run_lease + 1,
                    worker_id = worker,
                    heartbeat_at = clock_timestamp(),
                    lease_expires_at = clock_timestamp() + lease,
                    started_at = clock_timestamp()
                FROM held
                WHERE j.id = held.id AND coalesce(j.state, '') IN ('queued', 'retryable')
                RETURNING j.*),
            charged AS (
                INSERT INTO llm_job_shares AS s (tenant, vtime)
                SELECT c.tenant_id, max(c.ends) FROM chosen c JOIN claimed k ON k.id = c.id GROUP BY c.tenant_id
                ON CONFLICT (tenant) DO UPDATE SET vtime = excluded.vtime),
            ticked AS (
                UPDATE llm_job_clock t
                -- Where the queue is: at the last job that it has given out. No tenant that waits and may run is behind it.
                SET vtime = last.starts
                FROM (SELECT max(c.starts) AS starts FROM chosen c JOIN claimed k ON k.id = c.id) AS last
                WHERE last.starts > t.vtime)
            SELECT k.* FROM claimed k JOIN chosen c ON c.id = k.id ORDER BY c.starts, c.ends, c.tenant_id;
        END
        $$;
        """;
}
