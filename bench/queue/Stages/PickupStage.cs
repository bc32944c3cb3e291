using System.Globalization;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.QueueBench.Servers;

namespace ValueCanvas.QueueBench.Stages;

/// <summary>
/// Submissions over HTTP while workers take them: as many as go through, then at half of that, open loop, how long each job waited from
/// the beginning of the transaction that submitted it to its handler.
/// </summary>
internal static class PickupStage
{
    public static async Task<JsonArray> RunAsync(QueueSettings settings, QueueServers queue, CancellationToken cancellationToken)
    {
        JsonArray runs = [];
        foreach (var (workers, hints) in QueueSettings.Setups)
        {
            var started = await queue.StartWorkersAsync(workers, hints, QueueSettings.Concurrency, TimeSpan.Zero, cancellationToken);
            await EnqueueStage.SubmitAsync(queue.Api, settings.Time / 2 * workers, cancellationToken); // warm
            await queue.DrainAsync(cancellationToken);

            // 1. What goes through: both ends of the queue at full load.
            var begun = await queue.NowAsync(cancellationToken);
            var load = await EnqueueStage.SubmitAsync(queue.Api, settings.Time, cancellationToken);
            var ended = await queue.NowAsync(cancellationToken);
            var finished = await queue.Data.CountAsync(
                $"""
                 SELECT count(*) FROM llm_jobs
                 WHERE tenant_id = '{queue.Tenant}' AND created_at >= {begun} AND finished_at <= {ended} AND state = 'succeeded'
                 """,
                cancellationToken);
            await queue.DrainAsync(cancellationToken);

            // 2. Half of it.
            var most = Math.Min((double)load["requests_per_second"]!, finished / settings.Time.TotalSeconds);
            begun = await queue.NowAsync(cancellationToken);
            var half = await new RateLoad(queue.Api, most / 2, QueueSettings.Callers, QueueServers.Body)
                .RunAsync(settings.Time, cancellationToken);
            await queue.DrainAsync(cancellationToken);
            runs.Add(new JsonObject
            {
                ["workers"] = workers,
                ["hints"] = hints,
                ["through_per_second"] = Math.Round(most, 1),
                ["submission"] = half,
                ["pickup_us"] = await WaitsAsync(queue, begun, cancellationToken),
            });
            queue.Stop(started);
        }

        return runs;
    }

    private static async Task<JsonObject> WaitsAsync(QueueServers queue, string since, CancellationToken cancellationToken)
    {
        string[] shares = ["0.5", "0.9", "0.99", "0.999", "1"];
        var row = await queue.Data.RowAsync(
            $"""
             SELECT count(*), {string.Join(", ", shares.Select(share => $"percentile_disc({share}) WITHIN GROUP (ORDER BY w.us)"))}
             FROM (SELECT (r.result ->> 'pickupUs')::float8 AS us
                   FROM llm_jobs j JOIN llm_job_results r ON r.job_id = j.id
                   WHERE j.tenant_id = '{queue.Tenant}' AND j.created_at >= {since}) AS w
             """,
            cancellationToken);
        var figures = row.Select(text => double.Parse(text, CultureInfo.InvariantCulture)).ToArray();
        return new JsonObject
        {
            ["n"] = figures[0], ["p50"] = figures[1], ["p90"] = figures[2],
            ["p99"] = figures[3], ["p999"] = figures[4], ["max"] = figures[5],
        };
    }
}
