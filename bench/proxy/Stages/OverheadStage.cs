using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ProxyBench.Stages;

/// <summary>Closed loops of 1, 16 and 128 connections with prompts of 1 and 50 kB; the targets take turns, in another order each
/// round.</summary>
internal static class OverheadStage
{
    public static readonly int[] Connections = [1, 16, 128];
    public static readonly (string Name, int Bytes)[] Prompts = [("1 kB", 1024), ("50 kB", 50 * 1024)];

    public static Task<JsonObject> RunAsync(Settings settings, IReadOnlyList<Target> targets, CancellationToken cancellationToken) =>
        RunAsync(settings, targets, Prompts, Connections, cancellationToken);

    public static async Task<JsonObject> RunAsync(
        Settings settings, IReadOnlyList<Target> targets, IReadOnlyList<(string Name, int Bytes)> prompts,
        IReadOnlyList<int> connectionCounts,
        CancellationToken cancellationToken)
    {
        await WarmUpAsync(settings, targets, cancellationToken);
        var runs = new JsonArray();
        foreach (var (name, bytes) in prompts)
        {
            var body = Load.Prompts.Chat(bytes, stream: false);
            foreach (var connections in connectionCounts)
            {
                for (var round = 0; round < settings.Rounds; round++)
                {
                    foreach (var target in targets.Skip(round % targets.Count).Concat(targets.Take(round % targets.Count)))
                    {
                        var run = await Wrk.RunAsync(settings, target, connections, body, settings.Seconds, cancellationToken);
                        run["target"] = target.Name;
                        run["prompt"] = name;
                        run["connections"] = connections;
                        run["round"] = round;
                        runs.Add(run);
                    }
                }
            }
        }

        return new JsonObject { ["runs"] = runs, ["cells"] = Cells(runs), ["rss_mb_after"] = Resident(targets) };
    }

    public static JsonObject Resident(IEnumerable<Target> targets) => new(targets.Where(t => t.Process is not null)
        .Select(t => KeyValuePair.Create(t.Name, (JsonNode?)Math.Round(t.Process!.ResidentBytes() / 1048576.0, 1))));

    // The just-in-time compilers of .NET and Node need some ten thousand requests; everybody gets them.
    private static async Task WarmUpAsync(Settings settings, IReadOnlyList<Target> targets, CancellationToken cancellationToken)
    {
        foreach (var target in targets)
        {
            await Wrk.RunAsync(settings, target, 16, Load.Prompts.Chat(1024, stream: false), settings.Quick ? 2 : 5, cancellationToken);
            await Wrk.RunAsync(settings, target, 16, Load.Prompts.Chat(50 * 1024, stream: false), settings.Quick ? 1 : 3,
                cancellationToken);
        }
    }

    /// <summary>The median of the rounds of each cell.</summary>
    private static JsonArray Cells(JsonArray runs) => new([.. runs.Select(r => r!.AsObject())
        .GroupBy(r => (Prompt: (string)r["prompt"]!, Connections: (int)r["connections"]!, Target: (string)r["target"]!))
        .Select(cell => (JsonNode)new JsonObject
        {
            ["prompt"] = cell.Key.Prompt,
            ["connections"] = cell.Key.Connections,
            ["target"] = cell.Key.Target,
            ["requests_per_second"] = Median.Of(cell.Select(r => (double)r["requests_per_second"]!)),
            ["p50_us"] = Median.Of(cell.Select(r => (double)r["latency_us"]!["p50"]!)),
            ["p90_us"] = Median.Of(cell.Select(r => (double)r["latency_us"]!["p90"]!)),
            ["p99_us"] = Median.Of(cell.Select(r => (double)r["latency_us"]!["p99"]!)),
            ["p999_us"] = Median.Of(cell.Select(r => (double)r["latency_us"]!["p999"]!)),
            ["cpu_us_per_request"] = cell.All(r => r["cpu_us_per_request"] is not null)
                ? Median.Of(cell.Select(r => (double)r["cpu_us_per_request"]!))
                : null,
            ["errors"] = cell.Sum(r => r["errors"]!.AsObject().Sum(e => (int)e.Value!)),
        })]);
}
