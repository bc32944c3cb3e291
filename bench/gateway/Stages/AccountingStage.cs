using System.Diagnostics;
using System.Text.Json.Nodes;
using ValueCanvas.GatewayBench.Load;
using ValueCanvas.GatewayBench.Servers;
using ValueCanvas.ProxyBench;
using ValueCanvas.ProxyBench.Processes;
using ProxyServers = ValueCanvas.ProxyBench.Processes.Servers;

namespace ValueCanvas.GatewayBench.Stages;

/// <summary>
/// Rows of <c>llm_usage</c> a second under full load, and whether there is one for each answer that a client received whole when the Api is
/// killed (SIGKILL) in the middle of it and started again.
/// </summary>
internal static class AccountingStage
{
    private const string Rows = "SELECT count(*) FROM llm_usage";
    private const int Connections = 64;
    private const int Unlimited = int.MaxValue - 1;

    public static async Task<JsonObject> RunAsync(
        Settings settings, ProxyServers processes, GatewayServers gateway, DataServers data, Target proxy,
        CancellationToken cancellationToken)
    {
        var api = await gateway.ApiAsync("api-accounted", proxy, cancellationToken);
        await new BodyLoad(api, Bodies.Fresh, 16).RunAsync(settings.Quick ? 200 : 4000, cancellationToken);
        await SettledAsync(data, cancellationToken);

        // 1. Full load for a while.
        var before = await data.CountAsync(Rows, cancellationToken);
        var started = Stopwatch.GetTimestamp();
        var load = await RunForAsync(api, TimeSpan.FromSeconds(settings.Quick ? 1 : 2 * settings.Seconds), cancellationToken);
        var during = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var written = await SettledAsync(data, cancellationToken) - before;

        // 2. Killed in the middle, started again.
        before += written;
        var killed = new BodyLoad(api, Bodies.Fresh, Connections);
        var running = killed.RunAsync(Unlimited, cancellationToken);
        await Task.Delay(TimeSpan.FromSeconds(settings.Quick ? 0.5 : 3), TimeProvider.System, cancellationToken);
        processes.Stop(api.Process!);
        await running;
        var again = await gateway.ApiAsync("api-again", proxy, cancellationToken);
        var kept = await SettledAsync(data, cancellationToken) - before;
        processes.Stop(again.Process!);
        return new JsonObject
        {
            ["load"] = load,
            ["rows"] = written,
            ["rows_per_second"] = Math.Round(written / during, 1),
            ["answers_without_row"] = Math.Max(0, (int)load["answered"]! - written),
            ["killed"] = new JsonObject
            {
                ["answered"] = killed.Answered, ["rows"] = kept, ["lost"] = Math.Max(0, killed.Answered - kept),
            },
        };
    }

    private static async Task<JsonObject> RunForAsync(Target api, TimeSpan time, CancellationToken cancellationToken)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        bound.CancelAfter(time);
        return await new BodyLoad(api, Bodies.Fresh, Connections).RunAsync(Unlimited, bound.Token);
    }

    /// <summary>The rows, once none has come for two seconds.</summary>
    private static async Task<long> SettledAsync(DataServers data, CancellationToken cancellationToken)
    {
        var (last, since) = (await data.CountAsync(Rows, cancellationToken), Stopwatch.GetTimestamp());
        while (Stopwatch.GetElapsedTime(since) < TimeSpan.FromSeconds(2))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, cancellationToken);
            var now = await data.CountAsync(Rows, cancellationToken);
            (last, since) = now == last ? (last, since) : (now, Stopwatch.GetTimestamp());
        }

        return last;
    }
}
