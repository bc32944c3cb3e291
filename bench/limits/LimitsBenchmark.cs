using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ValueCanvas.LimitsBench;

internal static class LimitsBenchmark
{
    private const string Begin = "<!-- bench/run.sh limits: begin -->";
    private const string End = "<!-- bench/run.sh limits: end -->";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static async Task<int> RunAsync(Settings settings, CancellationToken cancellationToken)
    {
        using var redis = await RedisServer.StartAsync(cancellationToken);
        var result = new JsonObject
        {
            ["at"] = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture),
            ["label"] = settings.Label,
            ["seconds"] = settings.Seconds,
            ["machine"] = Machine(settings),
        };
        if (settings.Stages.Contains("checks"))
        {
            var checks = new JsonArray();
            result["checks"] = checks;
            foreach (var (store, policies) in new[] { ("redis", 1), ("redis", 5), ("memory", 1), ("memory", 5) })
            {
                var row = await CheckStage.RunAsync(
                    store, policies, store == "redis" ? redis.Address : null, settings.Seconds, cancellationToken);
                checks.Add(row);
                Console.WriteLine(row.ToJsonString());
            }
        }

        if (settings.Stages.Contains("exact"))
        {
            var exact = new JsonArray();
            result["exactness"] = exact;
            foreach (var algorithm in new[] { "TokenBucket", "SlidingWindow", "FixedWindow", "Concurrency" })
            {
                var row = await ExactStage.RunAsync(algorithm, redis.Address, settings.Seconds, cancellationToken);
                exact.Add(row);
                Console.WriteLine(row.ToJsonString());
            }
        }

        result["load_after"] = Load();
        var file = Path.Combine(
            settings.Root, "bench", "results", $"limits-{TimeProvider.System.GetUtcNow():yyyyMMdd-HHmmss}.json");
        await File.WriteAllTextAsync(file, result.ToJsonString(Indented) + "\n", cancellationToken);
        Console.WriteLine(file);
        if (settings.WritesDocument)
            Write(Path.Combine(settings.Root, "docs", "rate-limits.md"), Tables(result));
        return result["exactness"]?.AsArray().All(row => (bool)row!["holds"]!) == false ? 1 : 0;
    }

    private static JsonObject Machine(Settings settings) => new()
    {
        ["cpu"] = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim(),
        ["cores"] = Environment.ProcessorCount,
        ["os"] = System.Runtime.InteropServices.RuntimeInformation.OSDescription,
        ["dotnet"] = Environment.Version.ToString(),
        ["redis"] = Line("redis-server", "--version"),
        ["commit"] = Line("git", "-C", settings.Root, "log", "-1", "--format=%h %cI"),
        ["load_before"] = Load(),
    };

    private static string Load() => File.ReadAllText("/proc/loadavg").Split(' ')[0];

    private static string Line(string tool, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(tool, arguments) { RedirectStandardOutput = true })!;
        var line = process.StandardOutput.ReadLine() ?? "";
        process.WaitForExit();
        return line;
    }

    private static string Tables(JsonObject result)
    {
        var text = new StringBuilder();
        var machine = result["machine"]!;
        text.AppendLine(CultureInfo.InvariantCulture,
            $"{result["at"]}, {machine["cpu"]}, {machine["cores"]} cores, .NET {machine["dotnet"]}, load before {machine["load_before"]}, one "
            + $"process of 64 callers beside its Redis.");
        text.AppendLine();
        text.AppendLine("| counted in | policies | checks/s | p50 | p99, closed loop | offered/s | p50 | p99 | p99.9 |");
        text.AppendLine("|---|---|---|---|---|---|---|---|---|");
        foreach (var row in result["checks"]?.AsArray() ?? [])
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {row!["store"]} | {row["policies"]} | {row["checks_per_second"]:N0} | {Time(row["closed"]!["p50_us"])} | {Time(row["closed"]!["p99_us"])} "
                + $"| {row["offered_per_second"]:N0} | {Time(row["open"]!["p50_us"])} | {Time(row["open"]!["p99_us"])} | {Time(row["open"]!["p999_us"])} |");
        text.AppendLine();
        text.AppendLine("Four processes of 64 clients that ask without a pause:");
        text.AppendLine();
        text.AppendLine("| algorithm | limit | window | burst | seconds | asked | admitted | may be |");
        text.AppendLine("|---|---|---|---|---|---|---|---|");
        foreach (var row in result["exactness"]?.AsArray() ?? [])
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {row!["algorithm"]} | {row["limit"]} | {row["window_s"]} s | {row["burst"]} | {row["seconds"]} | {row["asked"]} | {row["admitted"]} "
                + $"| {row["may_be_admitted"]} |");
        return text.ToString();
    }

    private static string Time(JsonNode? micros) => (double?)micros switch
    {
        null => "",
        >= 1000 and var us => string.Create(CultureInfo.InvariantCulture, $"{us / 1000:0.00} ms"),
        var us => string.Create(CultureInfo.InvariantCulture, $"{us:0} µs"),
    };

    private static void Write(string file, string tables)
    {
        var text = File.Exists(file) ? File.ReadAllText(file) : "";
        var (begin, end) = (text.IndexOf(Begin, StringComparison.Ordinal), text.IndexOf(End, StringComparison.Ordinal));
        if (begin < 0 || end < begin)
        {
            Console.Error.WriteLine($"{file} lacks the marks '{Begin}' and '{End}'; it was left as it is.");
            return;
        }

        File.WriteAllText(file, $"{text[..(begin + Begin.Length)]}\n\n{tables.TrimEnd()}\n\n{text[end..]}");
        Console.WriteLine($"Tables written to {file}");
    }
}
