using System.Diagnostics;

namespace ValueCanvas.Tests.Infrastructure;

/// <summary>A service as it is built, in a process of its own, at an address of its own.</summary>
internal sealed class ServiceProcess : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(20);

    private readonly Process _process;

    private ServiceProcess(Process process, Uri address) => (_process, Address) = (process, address);

    public Uri Address { get; }

    public TimeSpan CpuTime
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>The most memory, in bytes, that was resident at any time.</summary>
    public long PeakMemory
    {
        get
        {
            _process.Refresh();
            return _process.PeakWorkingSet64;
        }
    }

    public static Task<ServiceProcess> StartApiAsync(params (string Key, string Value)[] settings) =>
        StartAsync("ValueCanvas.Api", "/health/live", settings);

    /// <summary>With these replicas behind it.</summary>
    public static Task<ServiceProcess> StartProxyAsync(IEnumerable<string> endpoints, params (string Key, string Value)[] settings) =>
        StartAsync(
        "ValueCanvas.InferenceProxy",
        "/health/ready",
        [
            ("Inference:DefaultModel", "small-model"),
            .. endpoints.Select((endpoint, i) => ($"Inference:Providers:vllm:Endpoints:{i}", endpoint)),
            .. settings,
        ]);

    /// <summary>SIGKILL; returns when nothing of it is left.</summary>
    public Task KillAsync()
    {
        _process.Kill();
        return _process.WaitForExitAsync(CancellationToken.None).WaitAsync(EndLimit);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            await KillAsync();
        _process.Dispose();
    }

    private static async Task<ServiceProcess> StartAsync(string name, string up, (string Key, string Value)[] settings)
    {
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var folder = Path.Combine(here.Parent!.Parent!.FullName, name, here.Name);
        var address = new Uri($"http://127.0.0.1:{FreePort.Take()}");
        var start = new ProcessStartInfo("dotnet", [Path.Combine(folder, $"{name}.dll")])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            Environment =
            {
                ["ASPNETCORE_URLS"] = address.AbsoluteUri,
                ["DOTNET_ENVIRONMENT"] = "Production",
                ["LOG_LEVEL"] = "None",
            },
        };
        foreach (var (key, value) in settings)
            start.Environment[key.Replace(":", "__", StringComparison.Ordinal)] = value;

        var service = new ServiceProcess(Process.Start(start)!, address);
        // Nobody reads what it says, and a full pipe would stop it.
        service._process.OutputDataReceived += (_, _) => { };
        service._process.BeginOutputReadLine();
        using var client = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromSeconds(5) };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(StartLimit);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!await AnswersAsync(client, up, limit.Token))
        {
            Assert.False(service._process.HasExited, $"{name} has ended.");
            await tick.WaitForNextTickAsync(limit.Token);
        }

        return service;
    }

    private static async Task<bool> AnswersAsync(HttpClient client, string path, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await client.GetAsync(path, cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (Exception e) when (
            e is HttpRequestException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return false;
        }
    }
}
