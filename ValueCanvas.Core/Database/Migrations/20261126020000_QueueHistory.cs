using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// The history of jobs at the price of a statement, not of each job: claims and successes come in groups, and write theirs at once.
/// </summary>
[DbContext(typeof(ValueCanvasDbContext))]
[Migration("20261126020000_QueueHistory")]
internal sealed class QueueHistory : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder)
    {
        migrationBuilder.Sql(Guard);
        migrationBuilder.Sql(Note);
        migrationBuilder.Sql(Reference);
    }

    // What the note of each row has refused until now.
    private const string Guard =
        """
        CREATE FUNCTION refuse_llm_job_change() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
        BEGIN
            IF OLD.state IN ('succeeded', 'failed', 'cancelled') THEN
                RAISE EXCEPTION 'a job that has ended does not change' USING ERRCODE = 'restrict_violation';
            END IF;
            RAISE EXCEPTION 'the lease of a job only grows' USING ERRCODE = 'restrict_violation';
        END
        $$;
        REVOKE ALL ON FUNCTION refuse_llm_job_change FROM PUBLIC;

        -- Its name comes before those of all others that follow a change.
        CREATE TRIGGER guard_transition AFTER UPDATE ON llm_jobs
            FOR EACH ROW
            WHEN (NEW.run_lease < OLD.run_lease
                  OR (OLD.state IN ('succeeded', 'failed', 'cancelled')
                      AND (NEW.state IS DISTINCT FROM OLD.state OR NEW.run_lease IS DISTINCT FROM OLD.run_lease)))
            EXECUTE FUNCTION refuse_llm_job_change();
        """;

    // Of members of a family still one by one: a child's end stands in the history before what follows from it, and triggers of a statement
    // come after those of its rows. Whoever makes the change may have forbidden the join that this needs.
    private const string Note =
        """
        CREATE FUNCTION note_llm_job_changes() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
        SET enable_hashjoin = on SET enable_nestloop = off SET jit = off AS $$
        BEGIN
            INSERT INTO llm_job_events (job_id, tenant_id, event, state, attempt, run_lease, worker_id, error_code)
            SELECT n.id,
                   n.tenant_id,
                   CASE
                       WHEN n.state = 'running' THEN 'claimed'
                       WHEN n.state IN ('succeeded', 'failed', 'cancelled') THEN n.state
                       WHEN n.crash_count > o.crash_count THEN 'rescued'
                       WHEN n.snoozes > o.snoozes THEN 'snoozed'
                       WHEN n.attempt < o.attempt THEN 'released'
                       ELSE 'retried' END,
                   n.state,
                   n.attempt,
                   n.run_lease,
                   n.worker_id,
                   CASE WHEN n.state NOT IN ('running', 'succeeded') THEN n.error_code END
            FROM became n JOIN was o ON o.id = n.id
            WHERE (o.state IS DISTINCT FROM n.state OR o.run_lease IS DISTINCT FROM n.run_lease)
              AND n.parent_id IS NULL AND n.on_child_failure IS NULL;
            RETURN NULL;
        END
        $$;
        ALTER FUNCTION note_llm_job_changes OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION note_llm_job_changes FROM PUBLIC;

        DROP TRIGGER note_transition ON llm_jobs;
        CREATE TRIGGER note_transition AFTER UPDATE ON llm_jobs
            FOR EACH ROW
            WHEN ((OLD.state IS DISTINCT FROM NEW.state OR OLD.run_lease IS DISTINCT FROM NEW.run_lease)
                  AND (NEW.parent_id IS NOT NULL OR NEW.on_child_failure IS NOT NULL))
            EXECUTE FUNCTION note_llm_job_change();
        CREATE TRIGGER note_transitions AFTER UPDATE ON llm_jobs
            REFERENCING OLD TABLE AS was NEW TABLE AS became
            FOR EACH STATEMENT EXECUTE FUNCTION note_llm_job_changes();
        """;

    // Only the triggers of a job write its history, in the transaction that has the job's row: it needs no lock of that row to be sure that
    // there is one. What goes with the job goes by a trigger.
    private const string Reference =
        """
        CREATE FUNCTION forget_llm_job_events() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        BEGIN
            DELETE FROM llm_job_events e USING gone g WHERE e.job_id = g.id;
            RETURN NULL;
        END
        $$;
        GRANT SELECT, DELETE ON llm_job_events TO valuecanvas_definer;
        ALTER FUNCTION forget_llm_job_events OWNER TO valuecanvas_definer;
        REVOKE ALL ON FUNCTION forget_llm_job_events FROM PUBLIC;

        CREATE TRIGGER forget_events AFTER DELETE ON llm_jobs
            REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION forget_llm_job_events();
        ALTER TABLE llm_job_events DROP CONSTRAINT IF EXISTS llm_job_events_job_id_fkey;
        """;
}
