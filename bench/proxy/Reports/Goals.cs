using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Processes;
using ValueCanvas.ProxyBench.Routing;
using ValueCanvas.ProxyBench.Stages;

namespace ValueCanvas.ProxyBench.Reports;

/// <summary>What the proxy wants to reach, and what this run found: the worst cell counts.</summary>
internal static class Goals
{
    public static void Append(StringBuilder text, JsonObject result)
    {
        var rows = new List<(string Goal, string Found, bool Met)>();
        if (result["overhead"]?["cells"] is JsonArray cells)
            Overhead(rows, [.. cells.Select(c => c!.AsObject())]);

        if (result["streaming"]?["runs"] is JsonArray streams)
            Streams(rows, [.. streams.Select(s => s!.AsObject())]);

        if (result["soak"] is { } soak)
        {
            var (most, slope) = ((double)soak["rss_mb_max"]!, (double)soak["slope_mb_per_hour_second_half"]!);
            Add(rows, "at most 150 MB resident under lasting load", $"{most:0} MB", most <= 150);
            if ((double)soak["minutes"]! >= 5)
                Add(rows, "memory stays flat", $"{slope:0.0} MB an hour", Math.Abs(slope) <= 10);
        }

        if (result["start"] is { } start)
            Add(rows, "ready within 1 s", $"{(double)start["ready_ms_median"]!:0} ms", (double)start["ready_ms_median"]! <= 1000);

        if (result["routing"]?["runs"] is JsonArray routing)
            Routing(rows, [.. routing.Select(r => r!.AsObject())]);

        if (result["trace"]?["runs"] is JsonArray trace)
        {
            var share = (double)trace.First(r => (string)r!["policy"]! == "prefix-aware")!["share_of_one_cache"]!;
            Add(rows, "trace: prefix-aware hits at least 0.9 of what one shared cache would", $"{share:0.00}", share >= 0.9);
        }

        Tables.AppendGoals(text, rows);
    }

    private static void Overhead(List<(string Goal, string Found, bool Met)> rows, JsonObject[] cells)
    {
        double? Figure(string prompt, int connections, string target, string measure) => (double?)cells.FirstOrDefault(c =>
            (string)c["prompt"]! == prompt && (int)c["connections"]! == connections && (string)c["target"]! == target)?[measure];
        double Added(string measure) => Figure("1 kB", 1, Target.Ours, measure)!.Value - Figure("1 kB", 1, Target.Direct, measure)!.Value;
        Add(rows, "one connection, 1 kB: at most 60 µs more at p50", $"{Added("p50_us"):0} µs", Added("p50_us") <= 60);
        Add(rows, "one connection, 1 kB: at most 300 µs more at p99", $"{Added("p99_us"):0} µs", Added("p99_us") <= 300);
        foreach (var (other, factor) in new[] { (Target.Nginx, 0.8), (Target.Portkey, 30) })
        {
            foreach (var (prompt, _) in OverheadStage.Prompts)
            {
                var ratios = OverheadStage.Connections.Where(c => c > 1)
                    .Select(c => Figure(prompt, c, Target.Ours, "requests_per_second") / Figure(prompt, c, other, "requests_per_second"))
                    .OfType<double>().ToArray();
                if (ratios.Length > 0)
                {
                    Add(rows, $"16 and 128 connections, {prompt}: at least {factor} × the throughput of {other}",
                        $"{ratios.Min():0.00} ×", ratios.Min() >= factor);
                }
            }
        }
    }

    private static void Streams(List<(string Goal, string Found, bool Met)> rows, JsonObject[] runs)
    {
        double Figure(string target, string measure, string percentile) => Median.Of(runs
            .Where(r => (string)r["target"]! == target && (int)r["streams"]! == 512).Select(r => (double)r[measure]![percentile]!));
        var (p50, p99) = (Figure(Target.Ours, "gap_us", "p50") - Figure(Target.Direct, "gap_us", "p50"),
            Figure(Target.Ours, "gap_us", "p99") - Figure(Target.Direct, "gap_us", "p99"));
        Add(rows, "512 streams: at most 10 µs of added gap at p50", $"{p50:0} µs", p50 <= 10);
        Add(rows, "512 streams: at most 1 ms of added gap at p99", $"{p99 / 1000:0.00} ms", p99 <= 1000);
        var lost = runs.Where(r => (string)r["target"]! == Target.Ours).Sum(r => (int)r["stalls"]! + (int)r["broken"]!
            + (int)r["wrong_event_count"]!);
        Add(rows, "no stall, no broken stream", lost.ToString(CultureInfo.InvariantCulture), lost == 0);
    }

    private static void Routing(List<(string Goal, string Found, bool Met)> rows, JsonObject[] runs)
    {
        foreach (var workload in runs.Select(r => (string)r["workload"]!).Distinct())
        {
            double Rate(string policy) =>
                (double)runs.First(r => (string)r["workload"]! == workload && (string)r["policy"]! == policy)["tokens_per_second"]!;
            var (ratio, least) = (Rate("prefix-aware") / Rate("round-robin"), workload == Workload.NoReuse.Name ? 0.97 : 2);
            Add(rows, $"{workload}: prefix-aware at least {least} × round robin", $"{ratio:0.00} ×", ratio >= least);
        }
    }

    private static void Add(List<(string Goal, string Found, bool Met)> rows, string goal, string found, bool met) => rows.Add((goal,
        found, met));
}
