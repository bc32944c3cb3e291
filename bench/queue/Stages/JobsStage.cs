using System.Globalization;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Processes;
using ValueCanvas.QueueBench.Servers;

namespace ValueCanvas.QueueBench.Stages;

/// <summary>Jobs that do nothing, all waiting at the same moment: from the first claim to the last success.</summary>
internal static class JobsStage
{
    public static async Task<JsonArray> RunAsync(QueueSettings settings, QueueServers queue, CancellationToken cancellationToken)
    {
        JsonArray runs = [];
        foreach (var (workers, hints) in QueueSettings.Setups)
        {
            var started = await queue.StartWorkersAsync(workers, hints, QueueSettings.Concurrency, TimeSpan.Zero, cancellationToken);
            // As much for each: what a process compiles in its first seconds is its own.
            await DrainAsync(queue, settings.Warm * workers, cancellationToken);
            runs.Add(await MeasureAsync(queue, settings.Jobs, workers, hints, started, cancellationToken));
            queue.Stop(started);
        }

        return runs;
    }

    private static async Task<JsonObject> MeasureAsync(
        QueueServers queue, int jobs, int workers, bool hints, IReadOnlyList<ServerProcess> processes, CancellationToken cancellationToken)
    {
        var begun = await queue.NowAsync(cancellationToken);
        var log = await LogAsync(queue, cancellationToken);
        var cpu = MachineCpu.Read();
        var own = processes.Sum(process => process.CpuSeconds());
        await DrainAsync(queue, jobs, cancellationToken);
        own = processes.Sum(process => process.CpuSeconds()) - own;
        var busy = MachineCpu.Read().BusySince(cpu);
        var figures = await queue.Data.RowAsync(
            $"""
             SELECT count(*), extract(epoch FROM max(finished_at) - min(started_at)) FROM llm_jobs
             WHERE tenant_id IN ('{queue.Tenant}', '{queue.OtherTenant}') AND created_at >= {begun} AND state = 'succeeded'
             """,
            cancellationToken);
        var count = double.Parse(figures[0], CultureInfo.InvariantCulture);
        var seconds = double.Parse(figures[1], CultureInfo.InvariantCulture);
        return new JsonObject
        {
            ["workers"] = workers,
            ["hints"] = hints,
            ["jobs"] = count,
            ["jobs_per_second"] = Math.Round(count / seconds, 1),
            ["worker_cpu_us_per_job"] = Math.Round(own * 1e6 / count, 0),
            ["wal_bytes_per_job"] = Math.Round((await LogAsync(queue, cancellationToken) - log) / count, 0),
            ["machine_busy"] = Math.Round(busy, 3),
        };
    }

    private static async Task DrainAsync(QueueServers queue, int jobs, CancellationToken cancellationToken)
    {
        await queue.SubmitAsync(jobs / 2, cancellationToken, queue.Tenant, queue.OtherTenant);
        await queue.DrainAsync(cancellationToken);
    }

    // With what the submissions write, as an application has it, too.
    private static async Task<double> LogAsync(QueueServers queue, CancellationToken cancellationToken) =>
        await queue.Data.CountAsync("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint", cancellationToken);
}
