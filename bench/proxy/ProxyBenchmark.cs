using System.Diagnostics;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Processes;
using ValueCanvas.ProxyBench.Reports;
using ValueCanvas.ProxyBench.Routing;
using ValueCanvas.ProxyBench.Stages;

namespace ValueCanvas.ProxyBench;

/// <summary>One run: starts the servers once, goes through the stages, writes the raw figures and the tables.</summary>
internal static class ProxyBenchmark
{
    public static async Task<int> RunAsync(Settings settings, CancellationToken cancellationToken)
    {
        var now = TimeProvider.System.GetUtcNow();
        var result = new JsonObject
        {
            ["benchmark"] = "proxy",
            ["started"] = now.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"),
            ["quick"] = settings.Quick,
            ["label"] = settings.Label,
            ["machine"] = await Machine.DescribeAsync(settings, cancellationToken),
        };
        Console.WriteLine(result["machine"]!.ToJsonString(Document.Indented));
        if (Directory.Exists(settings.WorkDirectory))
            Directory.Delete(settings.WorkDirectory, recursive: true);

        Directory.CreateDirectory(settings.WorkDirectory);
        using (var servers = new Servers(settings))
            await RunStagesAsync(settings, servers, result, cancellationToken);

        result["machine"]!["load_after"] = Machine.Load();
        await Document.PublishAsync(settings, now, result, Tables.Markdown, settings.WriteDocument, cancellationToken);
        return 0;
    }

    private static async Task RunStagesAsync(Settings settings, Servers servers, JsonObject result, CancellationToken cancellationToken)
    {
        async Task StageAsync(string name, Func<Task<JsonNode?>> run)
        {
            if (settings.Stages.Contains(name))
            {
                Console.Error.WriteLine($"{TimeProvider.System.GetUtcNow():HH:mm:ss} {name}");
                var started = Stopwatch.GetTimestamp();
                result[name] = await run();
                if (result[name] is JsonObject stage)
                    stage["took_seconds"] = Math.Round(Stopwatch.GetElapsedTime(started).TotalSeconds, 1);
            }
        }

        Target? proxy = null;
        if (settings.Stages.Any(s => s is not ("routing" or "trace")))
        {
            var upstream = await servers.UpstreamAsync("upstream", cancellationToken);
            var telemetry = await servers.UpstreamAsync("telemetry", cancellationToken);
            await StageAsync("start", async () => await StartStage.RunAsync(settings, servers, upstream, telemetry, cancellationToken));
            var targets = await servers.TargetsAsync(upstream, telemetry, cancellationToken);
            await StageAsync("overhead", async () => await OverheadStage.RunAsync(settings, targets, cancellationToken));
            await StageAsync("half", async () => await HalfRateStage.RunAsync(settings, targets, cancellationToken));
            await StageAsync("streaming", async () => await StreamingStage.RunAsync(settings, targets, cancellationToken));
            foreach (var idle in targets.Where(t => t.Process is not null && t.Name != Target.Ours))
                servers.Stop(idle.Process!);

            proxy = targets[^1];
        }

        await StageAsync("routing", async () => await RoutingStage.RunAsync(settings, servers, cancellationToken));
        await StageAsync("trace", async () => await TraceStage.RunAsync(settings, servers, cancellationToken));
        // Last: half an hour in which only the memory counts.
        await StageAsync("soak", async () => await SoakStage.RunAsync(settings, proxy!, cancellationToken));
    }
}
