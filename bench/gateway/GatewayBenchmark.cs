using System.Text.Json.Nodes;
using ValueCanvas.GatewayBench.Reports;
using ValueCanvas.GatewayBench.Servers;
using ValueCanvas.GatewayBench.Stages;
using ValueCanvas.ProxyBench.Processes;
using ValueCanvas.ProxyBench.Reports;
using ValueCanvas.ProxyBench.Stages;
using ProxyServers = ValueCanvas.ProxyBench.Processes.Servers;

namespace ValueCanvas.GatewayBench;

/// <summary>One run: starts the servers once, goes through the stages, writes the raw figures and the tables.</summary>
internal static class GatewayBenchmark
{
    public const string ProxyAlone = "proxy alone";
    public const string Gateway = "gateway";

    public static readonly int[] Connections = [1, 16, 64];

    public static async Task<int> RunAsync(GatewaySettings settings, CancellationToken cancellationToken)
    {
        var common = settings.Common;
        var now = TimeProvider.System.GetUtcNow();
        var result = new JsonObject
        {
            ["benchmark"] = "gateway",
            ["started"] = now.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"),
            ["quick"] = common.Quick,
            ["label"] = common.Label,
            ["rounds"] = common.Rounds,
            ["seconds"] = common.Seconds,
            ["machine"] = await Machine.DescribeAsync(common, cancellationToken),
        };
        Directory.CreateDirectory(common.WorkDirectory);
        await using (var data = await DataServers.StartAsync(cancellationToken))
        using (var servers = new ProxyServers(common))
        {
            await RunStagesAsync(settings, servers, data, result, cancellationToken);
        }

        result["machine"]!["load_after"] = Machine.Load();
        await Document.PublishAsync(common, now, result, GatewayTables.Markdown, settings.WriteDocument, cancellationToken);
        return 0;
    }

    private static async Task RunStagesAsync(
        GatewaySettings settings, ProxyServers servers, DataServers data, JsonObject result, CancellationToken cancellationToken)
    {
        var common = settings.Common;
        var upstream = await servers.UpstreamAsync("upstream", cancellationToken);
        var telemetry = await servers.UpstreamAsync("telemetry", cancellationToken);
        var gateway = new GatewayServers(common, servers, data, telemetry);
        await gateway.MigrateAsync(cancellationToken);
        var direct = new Target(Target.Direct, upstream, null, []);
        var proxy = await gateway.ProxyAsync(ProxyAlone, [$"127.0.0.1:{upstream}", $"127.0.0.2:{upstream}"], cancellationToken);
        var api = await gateway.ApiAsync(Gateway, proxy, cancellationToken);

        async Task StageAsync(string name, Func<Task<JsonNode>> run)
        {
            if (settings.Stages.Contains(name))
            {
                Console.Error.WriteLine($"{TimeProvider.System.GetUtcNow():HH:mm:ss} {name}");
                result[name] = await run();
            }
        }

        await StageAsync("uncached", async () =>
        {
            var portkey = await servers.PortkeyAsync(upstream, cancellationToken);
            Target[] targets = [direct, .. portkey is null ? Array.Empty<Target>() : [portkey], proxy, api];
            var figures = await OverheadStage.RunAsync(common, targets, [("1 kB", 1024)], Connections, cancellationToken);
            if (portkey is not null)
            {
                servers.Stop(portkey.Process!);
            }

            return figures;
        });
        await StageAsync("half", async () => await HalfRateStage.RunAsync(common, [direct, api], cancellationToken));
        await StageAsync("hits", async () =>
        {
            var other = await gateway.ApiAsync("other", proxy, cancellationToken);
            var figures = await HitStage.RunAsync(common, other, api, cancellationToken);
            servers.Stop(other.Process!);
            return figures;
        });
        await StageAsync("accounting", async () =>
            await AccountingStage.RunAsync(common, servers, gateway, data, proxy, cancellationToken));
        await StageAsync("soak", async () => await SoakStage.RunAsync(common, api, cancellationToken));
    }
}
