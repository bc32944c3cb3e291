using System.Globalization;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Processes;
using ProxyServers = ValueCanvas.ProxyBench.Processes.Servers;

namespace ValueCanvas.QueueBench.Stages;

/// <summary>The same work on BullMQ, with a Redis that forces every write to the disk and with one that does so each second.</summary>
internal static class BullMqStage
{
    public static async Task<JsonNode> RunAsync(QueueSettings settings, CancellationToken cancellationToken)
    {
        var modules = Path.Combine(settings.BullMqDirectory, "node_modules");
        if (Shell.Find("node") is null || !Directory.Exists(Path.Combine(modules, "bullmq")))
            return new JsonObject { ["missing"] = "Node.js or BullMQ" };

        using var processes = new ProxyServers(settings.Common);
        JsonArray runs = [];
        foreach (var mode in new[] { "always", "everysec" })
        {
            var port = ProxyServers.FreePort();
            var directory = Directory.CreateTempSubdirectory("valuecanvas-bench-redis-").FullName;
            var redis = processes.Start(
                $"redis-{mode}", "redis-server",
                [
                    "--port", port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--dir", directory,
                    "--save", "", "--appendonly", "yes", "--appendfsync", mode,
                ],
                null);
            var output = await Shell.RunAsync(
                "env",
                [
                    $"NODE_PATH={modules}", "NODE_ENV=production", "node",
                    Path.Combine(settings.Common.Root, "bench", "queue", "Peer", "bullmq.cjs"),
                    Text(port), Text(settings.Time.TotalSeconds), Text(settings.Jobs), Text(settings.Warm),
                    Text(QueueSettings.Callers), Text(QueueSettings.Concurrency),
                ],
                cancellationToken);
            processes.Stop(redis);
            Directory.Delete(directory, recursive: true);
            var line = output?.Split('\n').FirstOrDefault(line => line.StartsWith('{'))
                ?? throw new InvalidOperationException($"BullMQ failed: {output}");
            var run = JsonNode.Parse(line)!;
            run["appendfsync"] = mode;
            Console.Error.WriteLine(run.ToJsonString());
            runs.Add(run);
        }

        return new JsonObject { ["runs"] = runs };
    }

    private static string Text(double number) => number.ToString(CultureInfo.InvariantCulture);
}
