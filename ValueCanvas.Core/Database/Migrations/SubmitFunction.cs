namespace ValueCanvas.Core.Database.Migrations;

/// <summary>Submissions of a tenant, and how their jobs come into the history.</summary>
internal static class SubmitFunction
{
    /// <summary>
    /// Stores a group of submissions of one tenant in the transaction of its caller, with its caller's rights: row-level security binds it.
    /// Each gets its own outcome, in the order given, and those that are refused have written nothing. Locks are taken in one order
    /// (the tenant's room, keys, unique keys, parents), and with <c>waits</c> off none of the latter three is waited for: whoever meets
    /// one is <c>busy</c>, so that a group never waits for what one of its members wants.
    /// </summary>
    public const string Text =
        """
        CREATE OR REPLACE FUNCTION submit_llm_jobs(
            tenant uuid, turn bigint, before bigint, again boolean, waits boolean,
            -- One of each for a submission.
            counts integer[], keys text[], fingerprints bytea[],
            -- One of each for a job, in the order of the submissions, parents before their children.
            ids uuid[], types text[], prompt_keys text[], args text[], states text[], priorities smallint[], run_ats timestamptz[],
            deadlines timestamptz[], max_attempts integer[], unique_keys text[], conflicts text[], originals uuid[], parents uuid[],
            child_failures text[], submitters uuid[], submitter_keys uuid[], traceparents text[], tracestates text[])
        RETURNS TABLE (outcome text, jobs uuid[], detail text, present timestamptz)
        LANGUAGE plpgsql SET search_path = public, pg_temp SET enable_seqscan = off SET jit = off AS $$
        #variable_conflict use_variable
        DECLARE
            most     integer;
            room     bigint;
            head     integer := 1;
            tail     integer;
            own      uuid[];
            kept     uuid[];
            replaced uuid[];
            taken    boolean[] := array_fill(false, ARRAY[cardinality(ids)]);
            -- Unique keys that jobs of this group have, and the jobs.
            given    text[] := '{}';
            holders  uuid[] := '{}';
            held     uuid;
            state    text;
            same     boolean;
            mutex    bigint;
            i        integer;
        BEGIN
            -- An attempt that is made again, for its answer got lost, first waits until it is certain what became of the one before.
            IF before IS NOT NULL THEN
                PERFORM pg_advisory_xact_lock_shared(before);
            END IF;
            PERFORM pg_advisory_xact_lock(turn);

            -- With a limit, a tenant's submissions take turns: what one counts is true until it has committed.
            SELECT l.max_waiting INTO most FROM llm_job_limits l WHERE l.tenant_id = tenant;
            IF most IS NOT NULL THEN
                PERFORM pg_advisory_xact_lock(hashtextextended('llm_jobs waiting ' || tenant, 0));
                SELECT most - count(*) INTO room
                FROM (SELECT FROM llm_jobs j WHERE j.tenant_id = tenant AND j.state IN ('queued', 'retryable') LIMIT most) AS waiting;
            END IF;
            present := now();

            FOR s IN 1 .. cardinality(counts) LOOP
                tail := head + counts[s] - 1;
                own := ids[head:tail];
                kept := '{}';
                replaced := '{}';
                outcome := 'accepted';
                jobs := own;
                detail := NULL;

                <<judged>>
                BEGIN
                    -- 1. The attempt before this one has stored it.
                    IF again AND EXISTS (SELECT FROM llm_jobs j WHERE j.id = ANY (own)) THEN
                        outcome := 'stored';
                        SELECT array_agg(coalesce(j.id, h.id) ORDER BY o.n) FILTER (WHERE coalesce(j.id, h.id) IS NOT NULL) INTO jobs
                        FROM unnest(own, unique_keys[head:tail]) WITH ORDINALITY AS o (id, key, n)
                        LEFT JOIN llm_jobs j ON j.id = o.id
                        LEFT JOIN llm_jobs h ON j.id IS NULL AND h.tenant_id = tenant AND h.unique_key = o.key
                            AND h.state IN ('queued', 'blocked', 'running', 'retryable');
                        EXIT judged;
                    END IF;

                    -- 2. The same submission again is none.
                    IF keys[s] IS NOT NULL THEN
                        mutex := hashtextextended('llm_job_requests ' || tenant || ' ' || keys[s], 0);
                        IF waits THEN
                            PERFORM pg_advisory_xact_lock(mutex);
                        ELSIF NOT pg_try_advisory_xact_lock(mutex) THEN
                            outcome := 'busy';
                            EXIT judged;
                        END IF;
                        SELECT r.fingerprint = fingerprints[s], r.job_ids INTO same, jobs FROM llm_job_requests r
                        WHERE r.tenant_id = tenant AND r.key = keys[s] AND r.created_at >= clock_timestamp() - interval '24 hours';
                        IF FOUND THEN
                            outcome := CASE WHEN same THEN 'replayed' ELSE 'key_reused' END;
                            EXIT judged;
                        END IF;
                        jobs := own;
                    END IF;

                    IF counts[s] > room THEN
                        outcome := 'queue_full';
                        detail := most;
                        EXIT judged;
                    END IF;

                    -- 3. Unique keys in one order everywhere, so that two submissions never wait for each other.
                    IF array_remove(unique_keys[head:tail], NULL) <> '{}' THEN
                        FOR i IN SELECT n FROM generate_series(head, tail) AS n
                                 WHERE unique_keys[n] IS NOT NULL ORDER BY unique_keys[n] COLLATE "C" LOOP
                            mutex := hashtextextended('llm_jobs ' || tenant || ' ' || unique_keys[i], 0);
                            IF waits THEN
                                PERFORM pg_advisory_xact_lock(mutex);
                            ELSIF NOT pg_try_advisory_xact_lock(mutex) THEN
                                outcome := 'busy';
                                EXIT judged;
                            END IF;

                            held := holders[array_position(given, unique_keys[i])];
                            state := 'queued';
                            IF held IS NULL AND conflicts[i] = 'replace' THEN
                                -- A claim of it at this moment decides first.
                                SELECT j.id, j.state INTO held, state FROM llm_jobs j
                                WHERE j.tenant_id = tenant AND j.unique_key = unique_keys[i]
                                  AND j.state IN ('queued', 'blocked', 'running', 'retryable')
                                FOR NO KEY UPDATE;
                            ELSIF held IS NULL THEN
                                SELECT j.id, j.state INTO held, state FROM llm_jobs j
                                WHERE j.tenant_id = tenant AND j.unique_key = unique_keys[i]
                                  AND j.state IN ('queued', 'blocked', 'running', 'retryable');
                            END IF;

                            CONTINUE WHEN held IS NULL;
                            IF conflicts[i] = 'keep' THEN
                                kept := kept || ids[i];
                                jobs[i - head + 1] := held;
                            ELSIF conflicts[i] = 'replace' AND state <> 'running' THEN
                                replaced := replaced || held;
                            ELSE
                                outcome := 'not_unique';
                                jobs := ARRAY[held];
                                detail := i - head;
                                EXIT judged;
                            END IF;
                        END LOOP;
                    END IF;

                    -- 4. Parents that are there already, locked as the end of a child locks them: the last one that ends sees the new one,
                    -- or this sees that it has ended.
                    IF waits THEN
                        FOR held IN SELECT DISTINCT p FROM unnest(parents[head:tail]) AS p WHERE p <> ALL (own) ORDER BY p LOOP
                            SELECT j.state INTO detail FROM llm_jobs j WHERE j.id = held AND j.tenant_id = tenant FOR NO KEY UPDATE;
                            IF detail IS DISTINCT FROM 'blocked' THEN
                                outcome := 'no_parent';
                                jobs := ARRAY[held];
                                EXIT judged;
                            END IF;
                        END LOOP;
                        detail := NULL;
                    END IF;

                    -- 5. Accepted. The children of a job that was there before were there before, too.
                    IF kept <> '{}' THEN
                        SELECT array_agg(jobs[n] ORDER BY n) INTO jobs FROM generate_series(1, counts[s]) AS n
                        WHERE parents[head + n - 1] IS NULL OR parents[head + n - 1] <> ALL (kept);
                    END IF;
                    IF keys[s] IS NOT NULL THEN
                        INSERT INTO llm_job_requests AS r (tenant_id, key, fingerprint, job_ids)
                        VALUES (tenant, keys[s], fingerprints[s], jobs)
                        ON CONFLICT (tenant_id, key) DO UPDATE
                        SET fingerprint = excluded.fingerprint, job_ids = excluded.job_ids, created_at = clock_timestamp()
                        WHERE r.created_at < clock_timestamp() - interval '24 hours';
                        -- An older Api does not know of the lock, and was faster.
                        IF NOT FOUND THEN
                            outcome := 'busy';
                            EXIT judged;
                        END IF;
                    END IF;
                    IF replaced <> '{}' THEN
                        UPDATE llm_jobs j
                        SET state = 'cancelled', finished_at = clock_timestamp(),
                            error_code = 'replaced', error_message = 'A newer job with the same unique key took its place.'
                        WHERE j.id = ANY (replaced);
                    END IF;
                    FOR i IN head .. tail LOOP
                        taken[i] := ids[i] = ANY (jobs);
                        room := room - (taken[i] AND states[i] = 'queued')::integer;
                        IF taken[i] AND unique_keys[i] IS NOT NULL THEN
                            given := given || unique_keys[i];
                            holders := holders || ids[i];
                        END IF;
                    END LOOP;
                END judged;

                RETURN NEXT;
                head := tail + 1;
            END LOOP;

            INSERT INTO llm_jobs (
                id, tenant_id, type, prompt_key, args, state, priority, run_at, deadline_at, max_attempts, unique_key, retry_of, parent_id,
                on_child_failure, submitter_id, submitter_key_id, traceparent, tracestate)
            SELECT g.id, tenant, g.type, g.prompt_key, g.args::jsonb, g.state, g.priority, coalesce(g.run_at, now()),
                   coalesce(g.deadline_at, now() + interval '24 hours'), g.max_attempts, g.unique_key, g.retry_of, g.parent_id,
                   g.on_child_failure, g.submitter_id, g.submitter_key_id, g.traceparent, g.tracestate
            FROM unnest(
                    ids, types, prompt_keys, args, states, priorities, run_ats, deadlines, max_attempts, unique_keys, originals, parents,
                    child_failures, submitters, submitter_keys, traceparents, tracestates, taken)
                AS g (id, type, prompt_key, args, state, priority, run_at, deadline_at, max_attempts, unique_key, retry_of, parent_id,
                      on_child_failure, submitter_id, submitter_key_id, traceparent, tracestate, taken)
            WHERE g.taken;
        END
        $$;

        REVOKE ALL ON FUNCTION submit_llm_jobs FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION submit_llm_jobs TO valuecanvas_app;
        """;

    /// <summary>As it was, but one statement's jobs at once.</summary>
    public const string History =
        """
        CREATE FUNCTION note_llm_job_submissions() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            INSERT INTO llm_job_events (job_id, tenant_id, event, state, attempt, run_lease, worker_id, error_code)
            SELECT s.id, s.tenant_id, 'submitted', s.state, s.attempt, s.run_lease, s.worker_id,
                   CASE WHEN s.state NOT IN ('running', 'succeeded') THEN s.error_code END
            FROM submitted s;
            RETURN NULL;
        END
        $$;

        ALTER FUNCTION note_llm_job_submissions OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION note_llm_job_submissions FROM PUBLIC;

        DROP TRIGGER note_submission ON llm_jobs;
        CREATE TRIGGER note_submission AFTER INSERT ON llm_jobs REFERENCING NEW TABLE AS submitted
            FOR EACH STATEMENT EXECUTE FUNCTION note_llm_job_submissions();
        """;
}
