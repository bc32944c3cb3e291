using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using ValueCanvas.GatewayBench.Servers;
using ValueCanvas.ProxyBench;
using ValueCanvas.ProxyBench.Processes;
using ProxyServers = ValueCanvas.ProxyBench.Processes.Servers;

namespace ValueCanvas.GatewayBench.LoadTest;

/// <summary>The load test against a system that runs, or against one of its own. Exits with 1 where a threshold is missed.</summary>
internal static class LoadTestCommand
{
    private const string Model = "meta-llama/Llama-3.1-8B-Instruct";

    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static async Task<int> RunAsync(LoadSettings settings, CancellationToken cancellationToken)
    {
        var mix = Mix.Read(settings.Root);
        mix = mix with { Seconds = settings.Seconds ?? mix.Seconds, RequestsPerSecond = settings.Rate ?? mix.RequestsPerSecond };
        if (settings.Url is { } url)
        {
            var there = await LoadRun.RunAsync(mix, url, settings.Key!, cancellationToken);
            return await ReportAsync(settings, mix, there, null, cancellationToken);
        }

        var common = Settings.Parse(["--root", settings.Root, "--no-doc"]);
        Directory.CreateDirectory(common.WorkDirectory);
        var machine = await Machine.DescribeAsync(common, cancellationToken);
        await using var data = await DataServers.StartAsync(cancellationToken);
        using var servers = new ProxyServers(common);
        var gateway = new GatewayServers(common, servers, data, telemetry: null);
        await gateway.MigrateAsync(cancellationToken);
        var simulators = await Task.WhenAll(
            SimulatorAsync(common, servers, 0, cancellationToken),
            SimulatorAsync(common, servers, 1, cancellationToken));
        var proxy = await servers.ProxyAsync("proxy", simulators, null, new()
        {
            ["Inference__InternalKey"] = GatewayServers.InternalKey, ["Inference__DefaultModel"] = Model, ["LOG_LEVEL"] = "Warning",
        }, cancellationToken);
        var api = await gateway.ApiAsync("api", proxy, cancellationToken);
        var address = new Uri($"http://127.0.0.1:{api.Port}");
        // A moment on other prompts: the first requests of a process are slow, and the test is not about those.
        var warm = mix with { Seed = mix.Seed + 1, Seconds = 3, RequestsPerSecond = 50, Prompts = 10 };
        await LoadRun.RunAsync(warm, address, GatewayServers.Key, cancellationToken);
        var run = await LoadRun.RunAsync(mix, address, GatewayServers.Key, cancellationToken);
        return await ReportAsync(settings, mix, run, machine, cancellationToken);
    }

    // A step of 30 ms is a token's time; what a request costs beside makes 200 ms to the first one.
    private static async Task<string> SimulatorAsync(
        Settings settings, ProxyServers servers, int index, CancellationToken cancellationToken)
    {
        var port = ProxyServers.FreePort();
        var process = servers.Start($"simulator-{index}", settings.Binary("ValueCanvas.VllmSimulator"), [], new()
        {
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}", ["Simulator__Model"] = Model, ["Simulator__StepBaseMilliseconds"] = "30",
            ["Simulator__DecodeMillisecondsPerSequence"] = "0", ["Simulator__RequestOverheadMilliseconds"] = "170",
            ["LOG_LEVEL"] = "Warning",
        });
        await servers.ReadyAsync(process, port, "/health", cancellationToken);
        return $"127.0.0.1:{port}";
    }

    private static async Task<int> ReportAsync(
        LoadSettings settings, Mix mix, LoadFigures figures, JsonObject? machine, CancellationToken cancellationToken)
    {
        Console.WriteLine(figures.Text());
        var missed = figures.Missed(mix).ToArray();
        Console.WriteLine(missed.Length == 0 ? "All thresholds hold." : $"Missed: {string.Join(", ", missed)}");
        var document = new JsonObject
        {
            ["benchmark"] = "load",
            ["started"] = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"),
            ["machine"] = machine,
            ["mix"] = JsonSerializer.SerializeToNode(mix),
            ["figures"] = JsonSerializer.SerializeToNode(figures),
            ["missed"] = new JsonArray([.. missed.Select(one => (JsonNode)one)]),
        };
        var file = Path.Combine(settings.Root, "bench", "results", $"load-{TimeProvider.System.GetUtcNow():yyyyMMdd-HHmmss}.json");
        await File.WriteAllTextAsync(file, document.ToJsonString(Indented) + "\n", cancellationToken);
        Console.WriteLine($"Raw figures: {Path.GetRelativePath(settings.Root, file)}");
        return missed.Length == 0 ? 0 : 1;
    }
}
