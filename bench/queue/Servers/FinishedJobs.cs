using System.Globalization;
using ValueCanvas.GatewayBench.Servers;

namespace ValueCanvas.QueueBench.Servers;

/// <summary>Jobs of the last weeks: most have succeeded, each with what belongs to it.</summary>
internal static class FinishedJobs
{
    public static async Task AddAsync(DataServers data, QueueServers queue, int count, CancellationToken cancellationToken)
    {
        // Neither triggers nor references: what they would write is written here.
        await data.ExecuteAsync(
            string.Create(
                CultureInfo.InvariantCulture,
                $$"""
                  SET session_replication_role = replica;
                  CREATE TEMP TABLE old AS
                  SELECT ({{QueueServers.IdAt("(extract(epoch FROM t.at) * 1000)::bigint")}}) AS id,
                         CASE WHEN i % 5 = 0 THEN '{{queue.OtherTenant}}'::uuid ELSE '{{queue.Tenant}}'::uuid END AS tenant_id,
                         t.at,
                         CASE WHEN i % 50 = 0 THEN 'failed' WHEN i % 101 = 0 THEN 'cancelled' ELSE 'succeeded' END AS state
                  FROM generate_series(1, {{count}}) AS i
                  CROSS JOIN LATERAL (
                      SELECT now() - (interval '20 days' * ({{count}} - i + 1) / {{count}}) AS at, md5(i || 'x') AS hex) AS t;

                  INSERT INTO llm_jobs (id, tenant_id, type, args, state, attempt, run_lease, worker_id, created_at, run_at, deadline_at,
                                        started_at, finished_at, error_code, error_message)
                  SELECT id, tenant_id, 'chat', '{{QueueServers.Args}}', state, 1, 1, 'worker-1', at, at, at + interval '1 day',
                         at, at + interval '5 seconds',
                         CASE WHEN state <> 'succeeded' THEN 'internal' END, CASE WHEN state <> 'succeeded' THEN 'It failed.' END
                  FROM old;

                  INSERT INTO llm_job_results (job_id, tenant_id, run_lease, result, created_at)
                  SELECT id, tenant_id, 1, '{"pickupUs":1}', at + interval '5 seconds' FROM old WHERE state = 'succeeded';

                  INSERT INTO llm_job_events (job_id, tenant_id, at, event, state, attempt, run_lease, worker_id)
                  SELECT o.id, o.tenant_id, o.at, e.event, e.state, e.attempt, e.attempt, 'worker-1'
                  FROM old o
                  CROSS JOIN LATERAL (VALUES ('submitted', 'queued', 0), ('claimed', 'running', 1), (o.state, o.state, 1))
                      AS e (event, state, attempt);
                  DROP TABLE old;
                  """),
            cancellationToken);
        foreach (var table in new[] { "llm_jobs", "llm_job_results", "llm_job_events" })
            await data.ExecuteAsync($"VACUUM (ANALYZE) {table}", cancellationToken);
        await data.ExecuteAsync("CHECKPOINT", cancellationToken);
    }
}
