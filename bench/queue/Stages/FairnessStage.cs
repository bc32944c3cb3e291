using System.Globalization;
using System.Text.Json.Nodes;
using ValueCanvas.GatewayBench.Load;
using ValueCanvas.QueueBench.Servers;

namespace ValueCanvas.QueueBench.Stages;

/// <summary>Whether a tenant with ten jobs waits for another's ten thousand, and whether weights are what they say.</summary>
internal static class FairnessStage
{
    private const int Workers = 3;

    /// <summary>As by default.</summary>
    private const int Slots = 8;

    private static readonly TimeSpan Service = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ShortService = TimeSpan.FromMilliseconds(5);

    public static async Task<JsonObject> RunAsync(QueueSettings settings, QueueServers queue, CancellationToken cancellationToken) => new()
    {
        ["ten"] = await TenAsync(settings, queue, cancellationToken),
        ["weights"] = await WeightsAsync(settings, queue, cancellationToken),
    };

    private static async Task<JsonObject> TenAsync(QueueSettings settings, QueueServers queue, CancellationToken cancellationToken)
    {
        var backlog = settings.Common.Quick ? 1_000 : 10_000;
        var workers = await queue.StartWorkersAsync(Workers, hints: true, Slots, Service, cancellationToken);
        await queue.SubmitAsync(backlog, cancellationToken, queue.Tenant);
        await Task.Delay(TimeSpan.FromSeconds(2), TimeProvider.System, cancellationToken);
        var begun = await queue.NowAsync(cancellationToken);
        var submitted = await new BodyLoad(queue.OtherApi!, _ => QueueServers.Body, 10).RunAsync(10, cancellationToken);
        var other = $"llm_jobs WHERE tenant_id = '{queue.OtherTenant}' AND created_at >= {begun}";
        while (await queue.Data.CountAsync($"SELECT count(*) FROM {other} AND state = 'succeeded'", cancellationToken) < 10)
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellationToken);
        var row = await queue.Data.RowAsync(
            $"""
             SELECT (SELECT max(extract(epoch FROM started_at - created_at)) * 1e6 FROM {other}),
                    (SELECT avg(extract(epoch FROM started_at - created_at)) * 1e6 FROM {other}),
                    (SELECT count(*) FROM llm_jobs WHERE tenant_id = '{queue.Tenant}' AND state = 'queued')
             """,
            cancellationToken);
        await queue.CancelWaitingAsync(cancellationToken);
        queue.Stop(workers);
        return new JsonObject
        {
            ["backlog"] = backlog,
            ["submitted"] = submitted["answered"]!.DeepClone(),
            ["service_ms"] = Service.TotalMilliseconds,
            ["slots"] = Workers * Slots,
            ["last_start_us"] = Number(row[0]),
            ["mean_start_us"] = Number(row[1]),
            ["still_waiting_of_the_other"] = Number(row[2]),
        };
    }

    private static async Task<JsonObject> WeightsAsync(QueueSettings settings, QueueServers queue, CancellationToken cancellationToken)
    {
        var each = settings.Common.Quick ? 1_000 : 4_000;
        await queue.PutAsync($"/api/admin/queue/{queue.Tenant}", new { weight = 3 }, cancellationToken);
        var begun = await queue.NowAsync(cancellationToken);
        await queue.SubmitAsync(each, cancellationToken, queue.Tenant, queue.OtherTenant);
        var workers = await queue.StartWorkersAsync(Workers, hints: true, Slots, ShortService, cancellationToken);
        await queue.DrainAsync(cancellationToken);
        queue.Stop(workers);
        await queue.PutAsync($"/api/admin/queue/{queue.Tenant}", new { weight = 1 }, cancellationToken);

        // As long as both have some waiting: until the heavier one's last.
        var row = await queue.Data.RowAsync(
            $"""
             SELECT count(*) FILTER (WHERE tenant_id = '{queue.Tenant}'), count(*) FILTER (WHERE tenant_id = '{queue.OtherTenant}')
             FROM llm_jobs
             WHERE tenant_id IN ('{queue.Tenant}', '{queue.OtherTenant}') AND created_at >= {begun}
               AND started_at <= (SELECT max(started_at) FROM llm_jobs WHERE tenant_id = '{queue.Tenant}' AND created_at >= {begun})
             """,
            cancellationToken);
        return new JsonObject
        {
            ["wanted"] = 3, ["heavy"] = Number(row[0]), ["light"] = Number(row[1]),
            ["ratio"] = Math.Round(Number(row[0]) / Number(row[1]), 3),
        };
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
