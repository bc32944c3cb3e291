using System.Text;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Processes;
using static ValueCanvas.ProxyBench.Reports.Tables;

namespace ValueCanvas.GatewayBench.Reports;

/// <summary>A run's figures as Markdown.</summary>
internal static class GatewayTables
{
    public static string Markdown(JsonObject result, string file)
    {
        var machine = result["machine"]!;
        var text = new StringBuilder();
        text.Append($"Taken {result["started"]} at commit {machine["commit"]}")
            .Append((bool)result["quick"]! ? " with `--quick`: a check of the harness, not a measurement" : "")
            .Append(result["label"] is { } label ? $" ({label})" : "")
            .Append($".\n{machine["cores"]} cores ({machine["cpu"]}), {machine["memory_gb"]} GB; load average before the run ")
            .Append($"{machine["load_before"]}; {Number(result["rounds"])} rounds of {Number(result["seconds"])} s.\n")
            .Append($".NET {machine["dotnet"]}, Portkey {machine["portkey"]} on Node {machine["node"]}. ")
            .Append($"Raw figures: `bench/results/{file}`.\n");
        GatewayGoals.Append(text, result);
        Uncached(text, result["uncached"]);
        Half(text, result["half"]);
        Hits(text, result["hits"]);
        Accounting(text, result["accounting"]);
        if (result["soak"] is { } soak)
        {
            text.Append($"\n{Number(soak["minutes"], "0.#")} minutes at full load: at most {Number(soak["rss_mb_max"])} MB resident, ")
                .Append($"{Number(soak["rss_mb_after_idle"])} MB after a pause; slope of the second half ")
                .Append($"{Number(soak["slope_mb_per_hour_second_half"], "0.0")} MB an hour.\n");
        }

        return text.ToString();
    }

    private static void Uncached(StringBuilder text, JsonNode? stage)
    {
        if (stage is null)
            return;

        var cells = stage["cells"]!.AsArray().Select(cell => cell!.AsObject()).ToArray();
        var direct = cells.First(cell => (string)cell["target"]! == Target.Direct && (int)cell["connections"]! == 1);
        text.Append("\n### Requests that no cache answers, 1 kB\n\n")
            .Append("| target | connections | requests/s | p50 | p99 | added p50 | CPU µs/request | errors |\n")
            .Append("|---|---:|---:|---:|---:|---:|---:|---:|\n");
        foreach (var cell in cells.OrderBy(cell => (int)cell["connections"]!))
        {
            var added = (int)cell["connections"]! == 1 ? $"{(double)cell["p50_us"]! - (double)direct["p50_us"]!:#,0} µs" : "";
            text.Append($"| {cell["target"]} | {cell["connections"]} | {Number(cell["requests_per_second"])} | {Time(cell["p50_us"])} | ")
                .Append($"{Time(cell["p99_us"])} | {added} | {Number(cell["cpu_us_per_request"])} | {cell["errors"]} |\n");
        }
    }

    private static void Half(StringBuilder text, JsonNode? stage)
    {
        if (stage is null)
            return;

        text.Append("\n### At half of the gateway's maximum, open loop\n\n")
            .Append("| target | requests/s | p50 | p90 | p99 | p99.9 | p99, median second | unanswered |\n")
            .Append("|---|---:|---:|---:|---:|---:|---:|---:|\n");
        foreach (var row in stage.AsArray())
        {
            var latency = row!["latency_us"]!;
            text.Append($"| {row["target"]} | {Number(row["requests_per_second"])} | {Time(latency["p50"])} | {Time(latency["p90"])} | ")
                .Append($"{Time(latency["p99"])} | {Time(latency["p999"])} | ")
                .Append($"{Time(row[RateLoad.OfTheMedianSecond]!["p99"])} | {row["unanswered"]} |\n");
        }
    }

    private static void Hits(StringBuilder text, JsonNode? stage)
    {
        if (stage is null)
            return;

        text.Append("\n### Hits\n\n| level | connections | requests/s | p50 | p99 | hits |\n|---|---:|---:|---:|---:|---|\n");
        foreach (var (name, field) in new[] { ("first, in process", "first_level"), ("second, Redis", "second_level") })
        {
            var level = stage[field]!;
            foreach (var (connections, run) in new[] { (1, level["one_connection"]!), (64, level["loaded"]!) })
            {
                var hits = run["hits"] is { } of ? $"{of} of {run["answered"]}" : $"{level["hits_of_200"]} of 200";
                text.Append($"| {name} | {connections} | {Number(run["requests_per_second"])} | {Time(run["latency_us"]!["p50"])} | ")
                    .Append($"{Time(run["latency_us"]!["p99"])} | {hits} |\n");
            }
        }

        var half = stage["first_level"]!["half"]!;
        text.Append($"\nThe first level at half of its maximum ({Number(half["requests_per_second"])}/s, open loop): p50 ")
            .Append($"{Time(half["latency_us"]!["p50"])}, p99 {Time(half["latency_us"]!["p99"])}; of the median second ")
            .Append($"{Time(half[RateLoad.OfTheMedianSecond]!["p50"])} and {Time(half[RateLoad.OfTheMedianSecond]!["p99"])}.\n");
    }

    private static void Accounting(StringBuilder text, JsonNode? stage)
    {
        if (stage is null)
            return;

        var killed = stage["killed"]!;
        text.Append($"\n### Accounting\n\n{Number(stage["rows_per_second"])} rows a second at full load ")
            .Append($"({Number(stage["load"]!["requests_per_second"])} answers a second, {stage["answers_without_row"]} without a row). ")
            .Append($"SIGKILL under load: {Number(killed["answered"])} answers received whole, {Number(killed["rows"])} rows, ")
            .Append($"{killed["lost"]} lost.\n");
    }

    public static string Time(JsonNode? micros) => (double?)micros switch
    {
        null => "–",
        >= 1000 and var us => $"{us / 1000:0.00} ms",
        var us => $"{us:0} µs",
    };
}
