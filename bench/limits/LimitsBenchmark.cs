using System.Diagnostics;
using System.Globalization;
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

        if (settings.Stages.Contains("authentication"))
        {
            var authentication = await AuthenticationStage.RunAsync(settings.Seconds / 2, cancellationToken);
            result["authentication"] = authentication;
            Console.WriteLine(authentication.ToJsonString());
        }

        result["load_after"] = Load();
        var file = Path.Combine(
            settings.Root, "bench", "results", $"limits-{TimeProvider.System.GetUtcNow():yyyyMMdd-HHmmss}.json");
        await File.WriteAllTextAsync(file, result.ToJsonString(Indented) + "\n", cancellationToken);
        Console.WriteLine(file);
        if (settings.WritesDocument)
            Write(Path.Combine(settings.Root, "docs", "performance.md"), Tables.Of(
                JsonNode.Parse(result.ToJsonString())!.AsObject(), Path.GetFileName(file)));
        return result["exactness"]?.AsArray().All(row => (bool)row!["holds"]!) == false ? 1 : 0;
    }

    private static JsonObject Machine(Settings settings) => new()
    {
        ["cpu"] = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(
            ':')[1].Trim(),
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
