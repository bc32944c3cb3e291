namespace ValueCanvas.Core.Database.Migrations;

/// <summary>Parents and children among the jobs of the queue.</summary>
internal static class FamilyFunctions
{
    /// <summary>As it was, and one more event: <c>unblocked</c>.</summary>
    public const string History =
        """
        CREATE OR REPLACE FUNCTION note_llm_job_change() RETURNS trigger
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
                    WHEN OLD.state = 'blocked' THEN 'unblocked'
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
        """;

    /// <summary>
    /// Who ends waits at most for the parent's row, which is the family's lock, and never for a child's; so no two ends wait for each
    /// other. A child's row that is busy is left to <c>cancel_orphaned_llm_jobs</c>.
    /// </summary>
    public const string Settle =
        """
        CREATE FUNCTION settle_llm_job_family() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET enable_seqscan = off AS $$
        DECLARE
            parent record;
        BEGIN
            IF NEW.parent_id IS NOT NULL THEN
                SELECT j.id, j.state, j.on_child_failure INTO parent
                FROM llm_jobs j WHERE j.id = NEW.parent_id AND j.tenant_id = NEW.tenant_id
                FOR NO KEY UPDATE;
                IF FOUND AND parent.state = 'blocked' THEN
                    IF NEW.state <> 'succeeded' AND parent.on_child_failure <> 'continue' THEN
                        UPDATE llm_jobs j
                        SET state = CASE parent.on_child_failure WHEN 'fail' THEN 'failed' ELSE 'cancelled' END,
                            finished_at = clock_timestamp(),
                            error_code = 'child_failed',
                            error_message = 'A job that this one waited for did not succeed.'
                        WHERE j.id = parent.id;
                    -- Of two that end at once the second waited above, and sees here what the first did.
                    ELSIF NOT EXISTS (
                        SELECT FROM llm_jobs c
                        WHERE c.parent_id = NEW.parent_id AND c.state IN ('queued', 'running', 'retryable')) THEN
                        UPDATE llm_jobs j
                        SET state = 'queued', run_at = greatest(j.run_at, clock_timestamp())
                        WHERE j.id = parent.id;
                    END IF;
                END IF;
            END IF;

            IF NEW.on_child_failure IS NOT NULL AND NEW.state <> 'succeeded' THEN
                WITH living AS MATERIALIZED (
                    SELECT c.id FROM llm_jobs c
                    WHERE c.parent_id = NEW.id AND c.tenant_id = NEW.tenant_id AND c.state IN ('queued', 'running', 'retryable')
                    FOR UPDATE SKIP LOCKED)
                UPDATE llm_jobs c
                SET state = 'cancelled', finished_at = clock_timestamp(), lease_expires_at = NULL,
                    error_code = 'parent_ended', error_message = 'The job that waited for this one has ended.'
                FROM living
                WHERE c.id = living.id AND c.state IN ('queued', 'running', 'retryable');
            END IF;
            RETURN NULL;
        END
        $$;

        -- After note_transition, whose name comes before: a child's end stands in the history before what follows from it.
        CREATE TRIGGER settle_family AFTER UPDATE ON llm_jobs
            FOR EACH ROW
            WHEN (NEW.state IN ('succeeded', 'failed', 'cancelled') AND OLD.state IS DISTINCT FROM NEW.state
                  AND (NEW.parent_id IS NOT NULL OR NEW.on_child_failure IS NOT NULL))
            EXECUTE FUNCTION settle_llm_job_family();
        """;

    /// <summary>
    /// Statements that end many jobs lock many parents, so they take turns: the order in which two of them come to the same parents
    /// then does not matter.
    /// </summary>
    public const string Upkeep =
        """
        CREATE OR REPLACE FUNCTION rescue_llm_jobs(max_jobs integer, max_crashes integer) RETURNS TABLE (id uuid, state text)
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        #variable_conflict use_column
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('end_llm_jobs', 0));
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

        CREATE OR REPLACE FUNCTION expire_llm_jobs(max_jobs integer) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            expired integer;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('end_llm_jobs', 0));
            WITH late AS MATERIALIZED (
                SELECT j.id
                FROM llm_jobs j
                WHERE j.state IN ('queued', 'blocked', 'retryable') AND j.deadline_at <= clock_timestamp()
                ORDER BY j.deadline_at
                LIMIT max_jobs
                FOR UPDATE SKIP LOCKED)
            UPDATE llm_jobs j
            SET state = 'failed', finished_at = clock_timestamp(), worker_id = NULL,
                error_code = 'deadline_exceeded', error_message = 'The job had not succeeded by its deadline.'
            FROM late
            WHERE j.id = late.id AND j.state IN ('queued', 'blocked', 'retryable');
            GET DIAGNOSTICS expired = ROW_COUNT;
            RETURN expired;
        END
        $$;

        -- Children whose row was busy when their parent ended.
        CREATE FUNCTION cancel_orphaned_llm_jobs(max_jobs integer) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
            cancelled integer;
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended('end_llm_jobs', 0));
            WITH orphan AS MATERIALIZED (
                SELECT c.id
                FROM llm_jobs c JOIN llm_jobs p ON p.id = c.parent_id AND p.tenant_id = c.tenant_id
                WHERE c.parent_id IS NOT NULL AND c.state IN ('queued', 'running', 'retryable') AND p.state IN ('failed', 'cancelled')
                LIMIT max_jobs
                FOR UPDATE OF c SKIP LOCKED)
            UPDATE llm_jobs c
            SET state = 'cancelled', finished_at = clock_timestamp(), lease_expires_at = NULL,
                error_code = 'parent_ended', error_message = 'The job that waited for this one has ended.'
            FROM orphan
            WHERE c.id = orphan.id AND c.state IN ('queued', 'running', 'retryable');
            GET DIAGNOSTICS cancelled = ROW_COUNT;
            RETURN cancelled;
        END
        $$;

        ALTER FUNCTION settle_llm_job_family    OWNER TO valuecanvas_definer;
        ALTER FUNCTION cancel_orphaned_llm_jobs OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION settle_llm_job_family, cancel_orphaned_llm_jobs FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION cancel_orphaned_llm_jobs TO valuecanvas_app;
        """;
}
