using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace ValueCanvas.LimitsBench;

/// <summary>A run as the document tells it.</summary>
internal static class Tables
{
    private const double MostMicros = 2000;
    private const double MostMicrosOfAuthentication = 20;

    public static string Of(JsonObject result, string file)
    {
        var text = new StringBuilder();
        var machine = result["machine"]!;
        text.AppendLine(CultureInfo.InvariantCulture,
            $"Taken {result["at"]} at commit {machine["commit"]}. {machine["cpu"]}, {machine["cores"]} cores, .NET {machine["dotnet"]}, "
            + $"load average before the run {machine["load_before"]}. Raw figures: `bench/results/{file}`.");
        text.AppendLine();
        Checks(text, Rows("checks"));
        Exactness(text, Rows("exactness"));
        Authentication(text, Rows("authentication"));
        return text.ToString();

        JsonArray Rows(string stage) => result[stage]?.AsArray() ?? [];
    }

    private static void Checks(StringBuilder text, JsonArray rows)
    {
        text.AppendLine("One process of 64 callers beside its Redis. Goal at half of the maximum rate: p99 at most 2 ms.");
        text.AppendLine();
        text.AppendLine(
            "| counted in | policies | checks/s | p50 | p99, closed loop | offered/s "
            + "| begun late, p99 | p50 | p99 | p99.9 | p99 from its begin | too late for Redis | goal |");
        text.AppendLine("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|");
        foreach (var row in rows)
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {row!["store"]} | {row["policies"]} | {(double)row["checks_per_second"]!:N0} "
                + $"| {Time(row["closed"]!["p50_us"])} | {Time(row["closed"]!["p99_us"])} "
                + $"| {(double)row["offered_per_second"]!:N0} | {Time(row["begun_after_due"]!["p99_us"])} "
                + $"| {Time(row["open"]!["p50_us"])} | {Time(row["open"]!["p99_us"])} | {Time(row["open"]!["p999_us"])} "
                + $"| {Time(row["from_begin_to_end"]!["p99_us"])} "
                + $"| {(double)row["not_counted_in_store"]!:N0} | {Goal((double)row["open"]!["p99_us"]! <= MostMicros)} |");
        text.AppendLine();
    }

    private static void Exactness(StringBuilder text, JsonArray rows)
    {
        text.AppendLine(
            "Four processes of 64 clients that ask without a pause, and wait for Redis up to a second; "
            + "for concurrency, `admitted` is the most at once:");
        text.AppendLine();
        text.AppendLine("| algorithm | limit | window | burst | seconds | asked | admitted | may be | late | holds |");
        text.AppendLine("|---|---:|---:|---:|---:|---:|---:|---:|---:|---|");
        foreach (var row in rows)
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {row!["algorithm"]} | {row["limit"]} | {row["window_s"]} s | {row["burst"]} | {row["seconds"]} "
                + $"| {(double)row["asked"]!:N0} "
                + $"| {(double)row["admitted"]!:N0} | {(double)row["may_be_admitted"]!:N0} | {(double)row["not_counted_in_redis"]!:N0} "
                + $"| {((bool)row["holds"]! ? "yes" : "**no**")} |");
        text.AppendLine();
    }

    private static void Authentication(StringBuilder text, JsonArray rows)
    {
        text.AppendLine("What it costs to know who calls, of a caller who is known already. Goal: at most 20 µs.");
        text.AppendLine();
        text.AppendLine("| credential | mean | p50 | p99 | allocated | goal |");
        text.AppendLine("|---|---:|---:|---:|---:|---|");
        foreach (var row in rows)
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {row!["credential"]} | {Micros(row["mean_us"])} "
                + $"| {Micros(row["times"]!["p50_us"])} | {Micros(row["times"]!["p99_us"])} "
                + $"| {row["bytes"]} B | {Goal((double)row["mean_us"]! <= MostMicrosOfAuthentication)} |");
    }

    private static string Goal(bool met) => met ? "met" : "**missed**";

    private static string Micros(JsonNode? micros) => string.Create(CultureInfo.InvariantCulture, $"{(double)micros!:0.0} µs");

    private static string Time(JsonNode? micros) => (double)micros! switch
    {
        >= 1000 and var us => string.Create(CultureInfo.InvariantCulture, $"{us / 1000:0.00} ms"),
        var us => string.Create(CultureInfo.InvariantCulture, $"{us:0} µs"),
    };
}
