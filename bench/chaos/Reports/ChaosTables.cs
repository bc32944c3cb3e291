using System.Text;
using System.Text.Json.Nodes;
using static ValueCanvas.ProxyBench.Reports.Tables;

namespace ValueCanvas.ChaosBench.Reports;

/// <summary>A run's figures as Markdown.</summary>
internal static class ChaosTables
{
    private const double Recovered = 0.95;

    public static string Markdown(JsonObject result, string file)
    {
        var machine = result["machine"]!;
        var rows = result["faults"]!.AsArray().Select(row => row!.AsObject()).ToArray();
        var text = new StringBuilder();
        text.Append($"Taken {result["started"]} at commit {string.Join(", ", rows.Select(row => (string)row["commit"]!).Distinct())}")
            .Append(result["label"] is { } label ? $" ({label})" : "")
            .Append($".\n{machine["cores"]} cores ({machine["cpu"]}), {machine["memory_gb"]} GB, .NET {machine["dotnet"]}; ")
            .Append($"load average before each fault {rows.Min(Load)} to {rows.Max(Load)}. ")
            .Append($"Raw figures: `bench/results/{file}`.\n");
        Goals(text, rows);
        Verdicts(text, rows);
        Rates(text, rows);
        foreach (var row in rows.Where(row => !(bool)row["passed"]!))
            text.Append($"\n`{row["key"]}` did not pass: {string.Join("; ", Failures((string?)row["said"] ?? ""))}\n");
        return text.ToString();
    }

    /// <summary>Of each test that failed, its name and what it said first.</summary>
    private static IEnumerable<string> Failures(string said)
    {
        var lines = said.Split('\n', StringSplitOptions.TrimEntries);
        return lines.Select((line, i) => line.EndsWith("[FAIL]", StringComparison.Ordinal)
                ? $"{line[..^"[FAIL]".Length].Trim().Split('.')[^1]}: "
                    + string.Join(' ', lines[(i + 1)..].TakeWhile(next => next != "Stack Trace:"))
                : "")
            .Where(line => line.Length > 0);
    }

    private static void Goals(StringBuilder text, JsonObject[] rows)
    {
        var measured = rows.Where(row => row["verdict"] is not null).ToArray();
        var worst = measured.Where(row => !IsNothing(row)).MinBy(Ratio);
        text.Append("\n### Goals\n\n| goal | found | |\n|---|---:|---|\n");
        Row("accepted jobs lost", "lost");
        Row("jobs that ended other than once", "history");
        Row("jobs charged other than once", "charges");
        if (worst is not null)
        {
            Line(
                $"after each fault at least {Recovered} × the rate before it", $"{Number(Ratio(worst), "0.00")} × ({worst["key"]})",
                Ratio(worst) >= Recovered);
        }

        var passed = rows.Count(row => (bool)row["passed"]!);
        Line("every fault was made, and all that is tested of it holds", $"{passed} of {rows.Length}", passed == rows.Length);

        void Row(string goal, string kind)
        {
            var found = measured.Sum(row => row["verdict"]![kind]!.AsArray().Count);
            Line(goal, $"{found}", found == 0);
        }

        void Line(string goal, string found, bool met) => text.Append($"| {goal} | {found} | {(met ? "met" : "**missed**")} |\n");
    }

    private static void Verdicts(StringBuilder text, JsonObject[] rows)
    {
        text.Append("\n### Jobs\n\n| fault | lasted | accepted jobs | rescued | lost | ended not once | charged not once ")
            .Append("| otherwise wrong | |\n|---|---:|---:|---:|---:|---:|---:|---:|---|\n");
        foreach (var row in rows.Where(row => row["verdict"] is not null))
        {
            var verdict = row["verdict"]!;
            text.Append($"| {row["fault"]} | {Number(row["seconds"], "0")} s | {Number(row["jobs"])} | {Number(row["rescued"])} |");
            foreach (var kind in new[] { "lost", "history", "charges", "others" })
                text.Append($" {verdict[kind]!.AsArray().Count} |");
            text.Append($" {row["note"]} |\n");
        }
    }

    private static void Rates(StringBuilder text, JsonObject[] rows)
    {
        text.Append("\n### Rate\n\n| fault | jobs/s before (windows) | during | after (windows) | after ÷ before | measured ")
            .Append("| back after | started, before: p50 | p99 | after: p50 | p99 |\n")
            .Append("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
        foreach (var row in rows.Where(row => row["before"] is not null))
        {
            text.Append($"| {row["fault"]} | {Rate(row["before"]!)} | {Number(row["during"], "0.0")} | {Rate(row["after"]!)} | ")
                .Append($"{Number(Ratio(row), "0.00")} | {row["tries"]?.AsArray().Count ?? 1} × | {Number(row["back"], "0.0")} s |");
            foreach (var side in new[] { row["before"]!, row["after"]! })
                text.Append($" {Number(side["start_p50_ms"], "0")} ms | {Number(side["start_p99_ms"], "0")} ms |");
            text.Append('\n');
        }
    }

    private static string Rate(JsonNode rate)
    {
        var windows = rate["windows"]!.AsArray().Select(one => (double)one!).ToArray();
        return $"{Number(rate["per_second"], "0.0")} ({Number(windows.Min(), "0.0")}–{Number(windows.Max(), "0.0")})";
    }

    private static double Load(JsonObject row) => (double)row["load_before"]!;

    private static double Ratio(JsonObject row) => (double)row["after"]!["per_second"]! / (double)row["before"]!["per_second"]!;

    private static bool IsNothing(JsonObject row) => ((string)row["key"]!).StartsWith("nothing", StringComparison.Ordinal);
}
