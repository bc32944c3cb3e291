using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace ValueCanvas.ProxyBench.Reports;

internal static class RoutingTables
{
    public static void Append(StringBuilder text, JsonNode? routing, JsonNode? trace)
    {
        if (routing is not null)
        {
            text.Append("\n### Routing\n\n");
            Policies(text, routing, withWorkload: true);
        }

        if (trace is not null)
        {
            text.Append("\n### Replay of an hour of chat traffic\n\n");
            Policies(text, trace, withWorkload: false);
        }
    }

    private static void Policies(StringBuilder text, JsonNode stage, bool withWorkload)
    {
        if (stage["skipped"] is { } why)
        {
            text.Append($"Not measured: {why}.\n");
            return;
        }

        if (withWorkload)
        {
            text.Append($"{stage["replicas"]} simulated replicas with {Tables.Number(stage["kv_blocks"])} blocks of 16 tokens each, ")
                .Append($"{stage["concurrency"]} clients in a closed loop, {Tables.Number(stage["requests"])} requests, ")
                .Append("of which the first ")
                .Append("three eighths fill the caches and do not count.\n\n");
            foreach (var (name, description) in stage["workloads"]!.AsObject())
                text.Append($"- {name}: {description}\n");
        }
        else
        {
            text.Append($"{Tables.Number(stage["requests"])} requests; lengths and caches divided by {stage["lengths_divided_by"]}, ")
                .Append($"{stage["speed"]} times as fast as recorded. One cache as large as all four together would hit ")
                .Append($"{Percent(stage["hit_rate_of_one_shared_cache"])}, ")
                .Append($"an unbounded one {Percent(stage["hit_rate_of_unbounded_cache"])}.\n");
        }

        text.Append("\n| ").Append(withWorkload ? "workload | " : "").Append("policy | tokens/s | ")
            .Append(withWorkload ? "÷ round robin" : "of one cache's hits")
            .Append(" | hit rate | TTFT p50 ms | p90 ms | failed | machine busy |\n|---|").Append(withWorkload ? "---|" : "")
                .Append("---:|---:|---:|---:|---:|---:|---:|\n");
        var runs = stage["runs"]!.AsArray();
        foreach (var run in runs)
        {
            var first = runs.First(r => (string?)r!["workload"] == (string?)run!["workload"])!;
            text.Append("| ").Append(withWorkload ? $"{run!["workload"]} | " : "")
                .Append($"{run!["policy"]} | {Tables.Number(run["tokens_per_second"])} | ")
                .Append(withWorkload
                    ? ((double)run["tokens_per_second"]! / (double)first["tokens_per_second"]!).ToString("0.00",
                        CultureInfo.InvariantCulture)
                    : Tables.Number(run["share_of_one_cache"], "0.00"))
                .Append($" | {Percent(run["hit_rate"])} | {(double)run["ttft_us"]!["p50"]! / 1000:#,0} | ")
                .Append($"{(double)run["ttft_us"]!["p90"]! / 1000:#,0} | {run["failed"]} | {Percent(run["machine_cpu_share"])} |\n");
        }
    }

    private static string Percent(JsonNode? share) => ((double)share!).ToString("0.0 %", CultureInfo.InvariantCulture);
}
