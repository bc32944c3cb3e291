using System.Text.Json.Nodes;
using ValueCanvas.GatewayBench.Servers;
using ValueCanvas.ProxyBench.Processes;
using ValueCanvas.ProxyBench.Reports;
using ValueCanvas.QueueBench.Reports;
using ValueCanvas.QueueBench.Servers;
using ValueCanvas.QueueBench.Stages;
using ProxyServers = ValueCanvas.ProxyBench.Processes.Servers;

namespace ValueCanvas.QueueBench;

/// <summary>One run: starts the servers once, goes through the stages, writes the raw figures and the tables.</summary>
internal static class QueueBenchmark
{
    public static async Task<int> RunAsync(QueueSettings settings, CancellationToken cancellationToken)
    {
        var common = settings.Common;
        var now = TimeProvider.System.GetUtcNow();
        var result = new JsonObject
        {
            ["benchmark"] = "queue",
            ["started"] = now.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"),
            ["quick"] = common.Quick,
            ["label"] = common.Label,
            ["seconds"] = settings.Time.TotalSeconds,
            ["finished_jobs"] = settings.Finished,
            ["callers"] = QueueSettings.Callers,
            ["concurrency"] = QueueSettings.Concurrency,
            ["machine"] = await Machine.DescribeAsync(common, cancellationToken),
        };
        Directory.CreateDirectory(common.WorkDirectory);
        if (settings.Stages.Any(stage => stage != "bullmq"))
            await RunOursAsync(settings, result, cancellationToken);
        if (settings.Stages.Contains("bullmq"))
        {
            Say("bullmq");
            result["bullmq"] = await BullMqStage.RunAsync(settings, cancellationToken);
        }

        result["machine"]!["load_after"] = Machine.Load();
        await Document.PublishAsync(common, now, result, QueueTables.Markdown, settings.WriteDocument, cancellationToken);
        return 0;
    }

    private static async Task RunOursAsync(QueueSettings settings, JsonObject result, CancellationToken cancellationToken)
    {
        await using var data = await DataServers.StartDurableAsync(cancellationToken);
        using var processes = new ProxyServers(settings.Common);
        var gateway = new GatewayServers(settings.Common, processes, data, telemetry: null);
        await gateway.MigrateAsync(cancellationToken);
        result["postgres"] = new JsonObject
        {
            ["version"] = (await data.RowAsync("SHOW server_version", cancellationToken))[0],
            ["fsync"] = (await data.RowAsync("SHOW fsync", cancellationToken))[0],
            ["synchronous_commit"] = (await data.RowAsync("SHOW synchronous_commit", cancellationToken))[0],
            ["shared_buffers"] = (await data.RowAsync("SHOW shared_buffers", cancellationToken))[0],
        };

        // Ready only with a model server behind it; no job asks it.
        var upstream = await processes.UpstreamAsync("upstream", cancellationToken);
        var proxy = await gateway.ProxyAsync("proxy", [$"127.0.0.1:{upstream}"], cancellationToken);
        var queue = new QueueServers(settings, processes, data, gateway, await gateway.ApiAsync("api", proxy, cancellationToken));
        await queue.AddTenantAsync(cancellationToken);
        Say($"filling the table with {settings.Finished:N0} jobs that have ended");
        await FinishedJobs.AddAsync(data, queue, settings.Finished, cancellationToken);
        result["postgres"]!["llm_jobs_mb"] = await data.CountAsync(
            "SELECT pg_total_relation_size('llm_jobs') / 1048576", cancellationToken);

        (string Name, Func<Task<JsonNode>> Run)[] stages =
        [
            ("jobs", async () => await JobsStage.RunAsync(settings, queue, cancellationToken)),
            ("enqueue", async () => await EnqueueStage.RunAsync(settings, queue, cancellationToken)),
            ("pickup", async () => await PickupStage.RunAsync(settings, queue, cancellationToken)),
            ("fairness", async () => await FairnessStage.RunAsync(settings, queue, cancellationToken)),
        ];
        foreach (var (name, run) in stages.Where(stage => settings.Stages.Contains(stage.Name)))
        {
            Say(name);
            result[name] = await run();
            Console.Error.WriteLine(result[name]!.ToJsonString());
        }
    }

    private static void Say(string text) => Console.Error.WriteLine($"{TimeProvider.System.GetUtcNow():HH:mm:ss} {text}");
}
