using System.Net;
using System.Net.Sockets;
using ValueCanvas.ProxyBench.Upstream;

namespace ValueCanvas.ProxyBench.Processes;

/// <summary>Starts the servers of a run and stops them all at its end.</summary>
internal sealed class Servers(Settings settings) : IDisposable
{
    public const string PolicyVariable = "Inference__Routing__Policy";

    // As the proxy sets it for itself.
    private static readonly Dictionary<string, string> Lean = new()
    {
        ["DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS"] = "1", ["DOTNET_ThreadPool_UnfairSemaphoreSpinLimit"] = "0",
        ["DOTNET_gcServer"] = "0",
    };

    private readonly List<ServerProcess> _all = [];
    private readonly HttpClient _client = new() { Timeout = TimeSpan.FromSeconds(2) };

    public async Task<int> UpstreamAsync(string name, CancellationToken cancellationToken)
    {
        var port = FreePort();
        var dll = settings.Binary("ValueCanvas.ProxyBench") + ".dll";
        var process = Start(name, "dotnet", [dll, "upstream", port.ToString()], new(Lean) { ["DOTNET_TieredPGO"] = "0" });
        await ReadyAsync(process, port, "/health", cancellationToken);
        return port;
    }

    public async Task<List<Target>> TargetsAsync(int upstream, int telemetry, CancellationToken cancellationToken)
    {
        var targets = new List<Target> { new(Target.Direct, upstream, null, []) };
        if (Shell.Find("nginx") is { } nginx)
        {
            var port = FreePort();
            var prefix = Directory.CreateDirectory(Path.Combine(settings.WorkDirectory, "nginx")).FullName;
            Directory.CreateDirectory(Path.Combine(prefix, "logs"));
            var file = Written("nginx/nginx.conf", Configurations.Nginx(port, upstream, prefix));
            targets.Add(new(Target.Nginx, port, await UpAsync("nginx", port, "/health", nginx, ["-p", prefix, "-c", file], null,
                cancellationToken), []));
        }

        if (Shell.Find("haproxy") is { } haproxy)
        {
            var port = FreePort();
            var file = Written("haproxy.cfg", Configurations.Haproxy(port, upstream));
            targets.Add(new(Target.Haproxy, port, await UpAsync("haproxy", port, "/health", haproxy, ["-db", "-f", file], null,
                cancellationToken), []));
        }

        if (await PortkeyAsync(upstream, cancellationToken) is { } portkey)
            targets.Add(portkey);

        var barePort = FreePort();
        targets.Add(new(Target.Bare, barePort, await UpAsync(Target.Bare, barePort, "/health", "dotnet",
            [settings.Binary("ValueCanvas.ProxyBench") + ".dll", "bare", barePort.ToString(), upstream.ToString()], Lean,
                cancellationToken), []));

        // Two replicas, so that there is something to choose from; both are the one upstream.
        string[] replicas = [$"127.0.0.1:{upstream}", $"127.0.0.2:{upstream}"];
        targets.Add(await ProxyAsync(Target.OursQuiet, replicas, null, [], cancellationToken));
        targets.Add(await ProxyAsync(Target.Ours, replicas, telemetry, [], cancellationToken));
        return targets;
    }

    /// <summary>Null where it is not installed.</summary>
    public async Task<Target?> PortkeyAsync(int upstream, CancellationToken cancellationToken)
    {
        if (settings.PortkeyVersion is null)
            return null;

        var port = FreePort();
        var script = Path.Combine(settings.PortkeyDirectory, "build", "start-server.js");
        var process = await UpAsync("portkey", port, "/", "node", [script, $"--port={port}", "--headless"],
            new() { ["NODE_ENV"] = "production" }, cancellationToken);
        return new(Target.Portkey, port, process,
        [
            ("x-portkey-provider", "openai"), ("x-portkey-custom-host", $"http://127.0.0.1:{upstream}/v1"),
            ("Authorization", "Bearer bench"),
        ]);
    }

    /// <summary>This project's proxy before the given model servers, with its defaults but for what <paramref name="more"/> sets.</summary>
    public async Task<Target> ProxyAsync(
        string name, IReadOnlyList<string> upstreams, int? telemetry, Dictionary<string, string> more, CancellationToken cancellationToken)
    {
        var port = FreePort();
        var process = StartProxy(name, port, upstreams, telemetry, more);
        await ReadyAsync(process, port, "/ready", cancellationToken);
        return new Target(name, port, process, []);
    }

    public ServerProcess StartProxy(string name, int port, IReadOnlyList<string> upstreams, int? telemetry, Dictionary<string, string> more)
    {
        var environment = new Dictionary<string, string>(more) { ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}" };
        for (var i = 0; i < upstreams.Count; i++)
            environment[$"Inference__Providers__vllm__Endpoints__{i}"] = $"http://{upstreams[i]}";

        if (telemetry is { } sink)
        {
            environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = $"http://127.0.0.1:{sink}";
            environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf";
            environment["OTEL_SERVICE_NAME"] = "inference";
        }

        return Start(name, settings.Binary("ValueCanvas.InferenceProxy"), [], environment);
    }

    public async Task<(int Port, ServerProcess Process)> SimulatorAsync(string name, int kvBlocks, CancellationToken cancellationToken)
    {
        var port = FreePort();
        var process = Start(name, settings.Binary("ValueCanvas.VllmSimulator"), [], new()
        {
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
            ["Simulator__Model"] = Answers.Model,
            ["Simulator__KvBlocks"] = kvBlocks.ToString(),
            ["Simulator__MaxModelLen"] = Math.Min(131_072, kvBlocks * 16).ToString(),
            ["LOG_LEVEL"] = "Warning",
        });
        await ReadyAsync(process, port, "/health", cancellationToken);
        return (port, process);
    }

    /// <summary>Waits until the server answers this path with success.</summary>
    public async Task ReadyAsync(ServerProcess process, int port, string path, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < 3000; attempt++)
        {
            if (process.HasExited)
                break;

            if (await AnswersAsync(port, path, cancellationToken))
                return;

            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, cancellationToken);
        }

        throw new InvalidOperationException($"{process.Name} does not answer on port {port}; see {Log(process.Name)}.");
    }

    public void Stop(ServerProcess process)
    {
        process.Dispose();
        _all.Remove(process);
    }

    public void Dispose()
    {
        _all.ForEach(process => process.Dispose());
        _all.Clear();
        _client.Dispose();
    }

    /// <summary>A port that nobody listens on, below those that the machine gives to outgoing connections.</summary>
    public static int FreePort()
    {
        while (true)
        {
            var port = Random.Shared.Next(20_000, 32_000);
            try
            {
                using var listener = new TcpListener(IPAddress.Any, port);
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // Taken.
            }
        }
    }

    private async Task<bool> AnswersAsync(int port, string path, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await _client.GetAsync(new Uri($"http://127.0.0.1:{port}{path}"), cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException || (e is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return false;
        }
    }

    private async Task<ServerProcess> UpAsync(string name, int port, string path, string file, string[] arguments,
        Dictionary<string, string>? environment, CancellationToken cancellationToken)
    {
        var process = Start(name, file, arguments, environment);
        await ReadyAsync(process, port, path, cancellationToken);
        return process;
    }

    public ServerProcess Start(string name, string file, string[] arguments, Dictionary<string, string>? environment)
    {
        var process = ServerProcess.Start(name, Log(name), file, arguments, environment);
        _all.Add(process);
        return process;
    }

    private string Log(string name) => Path.Combine(Directory.CreateDirectory(settings.WorkDirectory).FullName, $"{name}.log");

    private string Written(string name, string text)
    {
        var file = Path.Combine(settings.WorkDirectory, name);
        File.WriteAllText(file, text);
        return file;
    }
}
