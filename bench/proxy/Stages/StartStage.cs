using System.Diagnostics;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ProxyBench.Stages;

/// <summary>From the start of the process to the first success of /ready, which needs a replica that was seen in order.</summary>
internal static class StartStage
{
    public static async Task<JsonObject> RunAsync(Settings settings, Servers servers, int upstream, int telemetry,
        CancellationToken cancellationToken)
    {
        var times = new List<double>();
        var resident = new List<double>();
        for (var i = 0; i < (settings.Quick ? 3 : 7); i++)
        {
            var port = Servers.FreePort();
            var started = Stopwatch.GetTimestamp();
            var process = servers.StartProxy("start", port, [$"127.0.0.1:{upstream}"], telemetry, []);
            await servers.ReadyAsync(process, port, "/ready", cancellationToken);
            times.Add(Math.Round(Stopwatch.GetElapsedTime(started).TotalMilliseconds, 0));
            resident.Add(Math.Round(process.ResidentBytes() / 1048576.0, 1));
            servers.Stop(process);
        }

        return new JsonObject
        {
            ["ready_ms"] = new JsonArray([.. times.Select(t => (JsonNode)t)]),
            ["ready_ms_median"] = Median.Of(times),
            ["rss_mb_at_ready"] = Median.Of(resident),
        };
    }
}
