using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Processes;
using ValueCanvas.ProxyBench.Stages;

namespace ValueCanvas.ProxyBench.Reports;

/// <summary>A run's figures as Markdown.</summary>
internal static class Tables
{
    public static string Markdown(JsonObject result, string file)
    {
        var machine = result["machine"]!;
        var text = new StringBuilder();
        text.Append($"Taken {result["started"]} at commit {machine["commit"]}")
            .Append((bool)result["quick"]! ? " with `--quick`: a check of the harness, not a measurement" : "")
            .Append(result["label"] is { } label ? $" ({label})" : "")
            .Append($".\n{machine["cores"]} cores ({machine["cpu"]}), {machine["memory_gb"]} GB, {machine["os"]}; load average ")
            .Append($"before the run {machine["load_before"]}.\n.NET {machine["dotnet"]}, nginx {machine["nginx"]}, ")
            .Append($"haproxy {machine["haproxy"]}, Portkey {machine["portkey"]} on Node {machine["node"]}. ")
            .Append($"Raw figures: `bench/results/{file}`.\n");
        Goals.Append(text, result);
        Start(text, result["start"]);
        Overhead(text, result["overhead"]);
        Half(text, result["half"]);
        Streaming(text, result["streaming"]);
        RoutingTables.Append(text, result["routing"], result["trace"]);
        Soak(text, result["soak"]);
        return text.ToString();
    }

    /// <summary>What a benchmark wants to reach, and what a run found.</summary>
    public static void AppendGoals(StringBuilder text, List<(string Goal, string Found, bool Met)> rows)
    {
        text.Append("\n### Goals\n\n| goal | found | |\n|---|---:|---|\n");
        rows.ForEach(row => text.Append($"| {row.Goal} | {row.Found} | {(row.Met ? "met" : "**missed**")} |\n"));
    }

    public static string Number(JsonNode? value, string format = "#,0") => value is null ? "–" : ((double)value).ToString(format,
        CultureInfo.InvariantCulture);

    private static void Start(StringBuilder text, JsonNode? start)
    {
        if (start is not null)
        {
            text.Append($"\n### Start\n\nReady {Number(start["ready_ms_median"])} ms after the start of the process ")
                .Append($"(median of {start["ready_ms"]!.AsArray().Count}), with {Number(start["rss_mb_at_ready"])} MB resident.\n");
        }
    }

    private static void Overhead(StringBuilder text, JsonNode? overhead)
    {
        if (overhead is null)
            return;

        var cells = overhead["cells"]!.AsArray().Select(c => c!.AsObject()).ToArray();
        JsonObject? Cell(string prompt, int connections, string target) => cells.FirstOrDefault(c =>
            (string)c["prompt"]! == prompt && (int)c["connections"]! == connections && (string)c["target"]! == target);
        text.Append("\n### Overhead at one connection\n\nLatency minus that of the direct connection, µs.\n\n"
            + "| target | 1 kB p50 | p90 | p99 | 50 kB p50 | p90 | p99 |\n|---|---:|---:|---:|---:|---:|---:|\n");
        foreach (var target in cells.Select(c => (string)c["target"]!).Distinct())
        {
            text.Append($"| {target}{(target == Target.Direct ? " (absolute)" : "")} |");
            foreach (var (prompt, _) in OverheadStage.Prompts)
            {
                foreach (var percentile in new[] { "p50_us", "p90_us", "p99_us" })
                {
                    var direct = target == Target.Direct ? 0 : (double)Cell(prompt, 1, Target.Direct)![percentile]!;
                    text.Append($" {(double)Cell(prompt, 1, target)![percentile]! - direct:#,0} |");
                }
            }

            text.Append('\n');
        }

        text.Append("\n### Throughput\n\nRequests a second; in brackets p99 in ms and the target's CPU time a request in µs.\n\n")
            .Append("| prompt | connections |");
        var targets = cells.Select(c => (string)c["target"]!).Distinct().ToArray();
        text.Append(string.Concat(targets.Select(t => $" {t} |"))).Append(" ÷ nginx | ÷ haproxy | ÷ Portkey |\n|---|---:|")
            .Append(string.Concat(Enumerable.Repeat("---:|", targets.Length + 3))).Append('\n');
        foreach (var (prompt, _) in OverheadStage.Prompts)
        {
            foreach (var connections in OverheadStage.Connections)
            {
                text.Append($"| {prompt} | {connections} |");
                foreach (var target in targets)
                {
                    var cell = Cell(prompt, connections, target)!;
                    text.Append($" {Number(cell["requests_per_second"])} ({(double)cell["p99_us"]! / 1000:0.00}")
                        .Append(cell["cpu_us_per_request"] is { } cpu ? $"; {Number(cpu)}" : "")
                        .Append((int)cell["errors"]! > 0 ? $"; {cell["errors"]} errors)" : ")").Append(" |");
                }

                foreach (var other in new[] { Target.Nginx, Target.Haproxy, Target.Portkey })
                {
                    var (ours, theirs) = (Cell(prompt, connections, Target.Ours), Cell(prompt, connections, other));
                    text.Append($" {Ratio(ours?["requests_per_second"], theirs?["requests_per_second"])} |");
                }

                text.Append('\n');
            }
        }

        text.Append("\nResident after these runs, MB: ")
            .Append(string.Join(", ", overhead["rss_mb_after"]!.AsObject().Select(t => $"{t.Key} {Number(t.Value)}"))).Append(".\n");
    }

    private static void Half(StringBuilder text, JsonNode? half)
    {
        if (half is null)
            return;

        text.Append("\n### Latency at half of the maximum rate\n\nOpen loop with random arrivals, 64 connections, 1 kB prompts; "
            + "direct at the same rate in brackets; last the p99 of the median second. µs.\n\n"
            + "| target | maximum/s | asked/s | answered/s | p50 | p90 | p99 | p99.9 | p99, median second |\n"
            + "|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
        var runs = half.AsArray();
        foreach (var run in runs.Where(r => (string)r!["target"]! != Target.Direct))
        {
            var direct = runs.First(r => (string)r!["half_of"]! == (string)run!["target"]! && (string)r["target"]! == Target.Direct)!;
            text.Append($"| {run!["target"]} | {Number(run["maximum_requests_per_second"])} | ")
                .Append($"{Number(run["asked_requests_per_second"])} | {Number(run["requests_per_second"])} |");
            foreach (var percentile in new[] { "p50", "p90", "p99", "p999" })
                text.Append($" {Number(run["latency_us"]![percentile])} ({Number(direct["latency_us"]![percentile])}) |");

            text.Append($" {Number(run[RateLoad.OfTheMedianSecond]!["p99"])} ({Number(direct[RateLoad.OfTheMedianSecond]!["p99"])}) |\n");
        }
    }

    private static void Streaming(StringBuilder text, JsonNode? streaming)
    {
        if (streaming is null)
            return;

        var runs = streaming["runs"]!.AsArray().Select(r => r!.AsObject()).ToArray();
        text.Append("\n### Streaming\n\n64 events 20 ms apart. Added: percentile minus the direct one. Stretch: how much longer a gap is "
            + "at the client than it was at the upstream. Under way: from the upstream's sending to the client's reading. "
            + "Stalls: gaps above 200 ms. µs.\n\n| streams | target | added TTFT p50 | p99 | added gap p50 | p99 | "
            + "stretch p99 | under way p50 | p99 | added under way p50 | p99 | stalls | broken | CPU cores | MB |\n"
            + "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
        double Of(string target, int streams, string measure, string percentile) => Median.Of(runs
            .Where(r => (string)r["target"]! == target && (int)r["streams"]! == streams).Select(r => (double)r[measure]![percentile]!));
        double Plain(string target, int streams, string measure) => Median.Of(runs
            .Where(r => (string)r["target"]! == target && (int)r["streams"]! == streams).Select(r => (double?)r[measure] ?? 0));
        foreach (var streams in StreamingStage.Streams)
        {
            foreach (var target in runs.Select(r => (string)r["target"]!).Distinct())
            {
                text.Append($"| {streams} | {target}{(target == Target.Direct ? " (absolute)" : "")} |");
                foreach (var (measure, percentile, added) in new[]
                {
                    ("ttft_us", "p50", true), ("ttft_us", "p99", true), ("gap_us", "p50", true), ("gap_us", "p99", true),
                        ("gap_stretch_us", "p99", false),
                    ("transit_us", "p50", false), ("transit_us", "p99", false), ("transit_us", "p50", true), ("transit_us", "p99", true),
                })
                {
                    var less = added && target != Target.Direct ? Of(Target.Direct, streams, measure, percentile) : 0;
                    text.Append($" {Of(target, streams, measure, percentile) - less:#,0} |");
                }

                text.Append($" {Plain(target, streams, "stalls"):0} | {Plain(target, streams, "broken"):0} | ")
                    .Append($"{Plain(target, streams, "cpu_cores"):0.00} | {Plain(target, streams, "rss_mb"):0} |\n");
            }
        }
    }

    private static void Soak(StringBuilder text, JsonNode? soak)
    {
        if (soak is not null)
        {
            text.Append($"\n### Memory\n\n{soak["minutes"]} minutes at full load (16 connections with 1 kB, 4 with 50 kB, 32 streams): ")
                .Append("at most ")
                .Append($"{Number(soak["rss_mb_max"])} MB resident, {Number(soak["rss_mb_end"])} MB at the end, ")
                .Append($"{Number(soak["rss_mb_after_idle"])} MB after a pause")
                .Append((double)soak["minutes"]! < 5
                    ? ".\n"
                    : $"; slope of the second half {Number(soak["slope_mb_per_hour_second_half"], "0.0")} MB an hour.\n");
        }
    }

    private static string Ratio(JsonNode? ours, JsonNode? theirs) =>
        ours is null || theirs is null ? "–" : ((double)ours / (double)theirs).ToString("0.00", CultureInfo.InvariantCulture);
}
