using System.Text.Json.Nodes;
using ValueCanvas.ChaosBench.Reports;
using ValueCanvas.ProxyBench.Processes;
using ValueCanvas.ProxyBench.Reports;

namespace ValueCanvas.ChaosBench;

/// <summary>One run: makes one fault after another, writes the raw figures and the tables.</summary>
internal static class ChaosBenchmark
{
    public static async Task<int> RunAsync(ChaosSettings settings, CancellationToken cancellationToken)
    {
        var common = settings.Common;
        Directory.CreateDirectory(common.WorkDirectory);
        var machine = await Machine.DescribeAsync(common, cancellationToken);
        Dictionary<string, JsonNode> rows = [];
        foreach (var row in settings.Earlier?["faults"]?.AsArray() ?? [])
            rows[(string)row!["key"]!] = row.DeepClone();
        foreach (var fault in settings.Faults)
        {
            Console.Error.WriteLine($"{TimeProvider.System.GetUtcNow():HH:mm:ss} {fault}");
            var row = await FaultRun.MakeAsync(settings, fault, cancellationToken);
            row["commit"] = machine["commit"]!.DeepClone();
            rows[fault] = row;
            Console.Error.WriteLine(row.ToJsonString());
        }

        var now = TimeProvider.System.GetUtcNow();
        var started = settings.Earlier is { } earlier
            ? DateTimeOffset.Parse((string)earlier["started"]!, System.Globalization.CultureInfo.InvariantCulture)
            : now;
        var result = new JsonObject
        {
            ["benchmark"] = "chaos",
            ["started"] = started.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"),
            ["quick"] = false,
            ["label"] = common.Label ?? (string?)settings.Earlier?["label"],
            ["machine"] = machine,
            ["faults"] = new JsonArray([.. ChaosSettings.All.Where(rows.ContainsKey).Select(fault => rows[fault])]),
        };
        await Document.PublishAsync(common, started, result, ChaosTables.Markdown, settings.WriteDocument, cancellationToken);
        return settings.Faults.All(fault => (bool)rows[fault]["passed"]!) ? 0 : 1;
    }
}
