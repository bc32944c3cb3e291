using System.Globalization;
using System.Text.Json.Nodes;
using ValueCanvas.GatewayBench.Load;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Processes;
using ValueCanvas.QueueBench.Servers;

namespace ValueCanvas.QueueBench.Stages;

/// <summary>
/// Submissions that have been committed when they are answered, while no worker takes them: over HTTP as many as there can be, then at half
/// of that, open loop; and without HTTP, as the peer's library does.
/// </summary>
internal static class EnqueueStage
{
    public static async Task<JsonObject> RunAsync(QueueSettings settings, QueueServers queue, CancellationToken cancellationToken)
    {
        await SubmitAsync(queue.Api, settings.Time / 2, cancellationToken); // warm
        var begun = await queue.NowAsync(cancellationToken);
        var cpu = queue.Api.Process!.CpuSeconds();
        var http = await SubmitAsync(queue.Api, settings.Time, cancellationToken);
        http["api_cpu_us_per_job"] = Math.Round((queue.Api.Process.CpuSeconds() - cpu) * 1e6 / (int)http["answered"]!, 0);
        http["committed"] = await queue.Data.CountAsync(
            $"SELECT count(*) FROM llm_jobs WHERE tenant_id = '{queue.Tenant}' AND created_at >= {begun}", cancellationToken);
        var half = await new RateLoad(queue.Api, (double)http["requests_per_second"]! / 2, QueueSettings.Callers, QueueServers.Body)
            .RunAsync(settings.Time, cancellationToken);
        var library = await LibraryAsync(settings, queue, cancellationToken);
        await queue.CancelWaitingAsync(cancellationToken);
        return new JsonObject { ["http"] = http, ["half"] = half, ["library"] = library };
    }

    /// <summary>Callers that each submit again when they are answered.</summary>
    public static async Task<JsonObject> SubmitAsync(Target target, TimeSpan time, CancellationToken cancellationToken)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        bound.CancelAfter(time);
        return await new BodyLoad(target, _ => QueueServers.Body, QueueSettings.Callers).RunAsync(int.MaxValue - 1, bound.Token);
    }

    private static async Task<JsonNode> LibraryAsync(QueueSettings settings, QueueServers queue, CancellationToken cancellationToken)
    {
        var output = await Shell.RunAsync(
            "env",
            [
                .. queue.Connections, settings.Common.Binary("ValueCanvas.QueueBench"), "submit",
                settings.Time.TotalSeconds.ToString(CultureInfo.InvariantCulture),
            ],
            cancellationToken);
        return JsonNode.Parse(output ?? throw new InvalidOperationException("The submitter failed."))!;
    }
}
