namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// What looks across tenants for the queue. Each function is one short statement on the wire, so a worker that is stopped in the middle
/// keeps nothing locked: the server finishes it.
/// </summary>
internal static class QueueFunctions
{
    /// <summary>No statement changes a job unnoticed, none wakes one that has ended, and none gives an old lease out again.</summary>
    public const string History =
        """
        CREATE FUNCTION note_llm_job_change() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            IF TG_OP = 'UPDATE' THEN
                IF OLD.state IN ('succeeded', 'failed', 'cancelled') THEN
                    RAISE EXCEPTION 'a job that has ended does not change' USING ERRCODE = 'restrict_violation';
                END IF;
                IF NEW.run_lease < OLD.run_lease THEN
                    RAISE EXCEPTION 'the lease of a job only grows' USING ERRCODE = 'restrict_violation';
                END IF;
            END IF;

            INSERT INTO llm_job_events (job_id, tenant_id, event, state, attempt, run_lease, worker_id, error_code)
            VALUES (
                NEW.id,
                NEW.tenant_id,
                CASE
                    WHEN TG_OP = 'INSERT' THEN 'submitted'
                    WHEN NEW.state = 'running' THEN 'claimed'
                    WHEN NEW.state IN ('succeeded', 'failed', 'cancelled') THEN NEW.state
                    WHEN NEW.crash_count > OLD.crash_count THEN 'rescued'
                    WHEN NEW.snoozes > OLD.snoozes THEN 'snoozed'
                    WHEN NEW.attempt < OLD.attempt THEN 'released'
                    ELSE 'retried' END,
                NEW.state,
                NEW.attempt,
                NEW.run_lease,
                NEW.worker_id,
                CASE WHEN NEW.state NOT IN ('running', 'succeeded') THEN NEW.error_code END);
            RETURN NULL;
        END
        $$;

        CREATE TRIGGER note_submission AFTER INSERT ON llm_jobs
            FOR EACH ROW EXECUTE FUNCTION note_llm_job_change();
        CREATE TRIGGER note_transition AFTER UPDATE ON llm_jobs
            FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state OR OLD.run_lease IS DISTINCT FROM NEW.run_lease)
            EXECUTE FUNCTION note_llm_job_change();
        """;

    /// <summary>
    /// Start-time fair queueing over tenants. A job's tag is what its tenant has had before it, by weight; the lowest tags run first. A
    /// tenant that comes back begins where the queue is, so it neither saves up turns nor waits for those it did not take. The plan must be
    /// the one by indexes, also when it was made while the table was small; its estimated cost is then so high that PostgreSQL would
    /// compile it (seconds).
    /// </summary>
    public const string Claim =
        """
        CREATE OR REPLACE FUNCTION claim_llm_jobs(worker text, max_jobs integer, lease interval) RETURNS SETOF llm_jobs
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off SET jit = off AS $$
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
                FROM llm_jobs j JOIN chosen c ON c.id = j.id
                WHERE j.state IN ('queued', 'retryable')
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
                WHERE j.id = held.id AND j.state IN ('queued', 'retryable')
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

        -- Those of these jobs that are no longer their worker's: given to another, or called off.
        CREATE FUNCTION lost_llm_jobs(ids uuid[], leases bigint[]) RETURNS SETOF uuid
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
            SELECT held.id
            FROM unnest(ids, leases) AS held (id, run_lease)
            WHERE NOT EXISTS (
                SELECT FROM llm_jobs j WHERE j.id = held.id AND j.state = 'running' AND j.run_lease = held.run_lease)
        $$;
        """;

    public const string Upkeep =
        """
        -- Waiting jobs whose time is over. Running ones are ended by their worker, or come here after a rescue.
        CREATE FUNCTION expire_llm_jobs(max_jobs integer) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            expired integer;
        BEGIN
            WITH late AS MATERIALIZED (
                SELECT j.id
                FROM llm_jobs j
                WHERE j.state IN ('queued', 'retryable') AND j.deadline_at <= clock_timestamp()
                ORDER BY j.deadline_at
                LIMIT max_jobs
                FOR UPDATE SKIP LOCKED)
            UPDATE llm_jobs j
            SET state = 'failed', finished_at = clock_timestamp(), worker_id = NULL,
                error_code = 'deadline_exceeded', error_message = 'The job had not succeeded by its deadline.'
            FROM late
            WHERE j.id = late.id AND j.state IN ('queued', 'retryable');
            GET DIAGNOSTICS expired = ROW_COUNT;
            RETURN expired;
        END
        $$;

        -- With a job go its result, its history and its checkpoint. Never sooner than after an hour, whoever asks.
        CREATE FUNCTION prune_llm_jobs(keep interval, keep_failed interval, max_rows integer) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            removed integer;
        BEGIN
            WITH old AS MATERIALIZED (
                SELECT j.id
                FROM llm_jobs j
                WHERE j.state IN ('succeeded', 'failed', 'cancelled')
                  AND j.finished_at < clock_timestamp() - greatest(least(keep, keep_failed), interval '1 hour')
                  AND (j.state = 'failed' OR j.finished_at < clock_timestamp() - greatest(keep, interval '1 hour'))
                  AND (j.state <> 'failed' OR j.finished_at < clock_timestamp() - greatest(keep_failed, interval '1 hour'))
                ORDER BY j.finished_at
                LIMIT max_rows
                FOR UPDATE SKIP LOCKED)
            DELETE FROM llm_jobs j USING old WHERE j.id = old.id;
            GET DIAGNOSTICS removed = ROW_COUNT;

            DELETE FROM llm_job_requests r WHERE r.created_at < clock_timestamp() - interval '24 hours';
            -- A share that the queue has overtaken says nothing that a missing one does not.
            DELETE FROM llm_job_shares s USING llm_job_clock c
            WHERE s.vtime <= c.vtime
              AND pg_try_advisory_xact_lock(hashtextextended('claim_llm_jobs', 0));
            RETURN removed;
        END
        $$;
        """;

    public const string Rights =
        """
        ALTER FUNCTION note_llm_job_change OWNER TO valuecanvas_definer;
        ALTER FUNCTION claim_llm_jobs      OWNER TO valuecanvas_definer;
        ALTER FUNCTION lost_llm_jobs       OWNER TO valuecanvas_definer;
        ALTER FUNCTION expire_llm_jobs     OWNER TO valuecanvas_definer;
        ALTER FUNCTION prune_llm_jobs      OWNER TO valuecanvas_definer;

        REVOKE ALL ON FUNCTION note_llm_job_change, lost_llm_jobs, expire_llm_jobs, prune_llm_jobs FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION lost_llm_jobs, expire_llm_jobs, prune_llm_jobs TO valuecanvas_app;
        """;
}
