using System.Diagnostics;

namespace ValueCanvas.Tests.InferenceProxy;

/// <summary>The proxy as it is built, in a process of its own.</summary>
internal sealed class ProxyProcess : IAsyncDisposable
{
    private readonly Process _process;

    private ProxyProcess(Process process, Uri address) => (_process, Address) = (process, address);

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

    public static async Task<ProxyProcess> StartAsync(IEnumerable<string> endpoints, params (string Key, string Value)[] settings)
    {
        const string name = "ValueCanvas.InferenceProxy";
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var folder = Path.Combine(here.Parent!.Parent!.FullName, name, here.Name);
        var address = new Uri(DeadAddress.Take());
        var start = new ProcessStartInfo("dotnet", [Path.Combine(folder, $"{name}.dll")])
        {
            WorkingDirectory = folder,
            Environment =
            {
                ["ASPNETCORE_URLS"] = address.AbsoluteUri,
                ["DOTNET_ENVIRONMENT"] = "Production",
                ["LOG_LEVEL"] = "None",
                ["Inference__DefaultModel"] = "small-model",
            },
        };
        foreach (var (key, value) in endpoints.Select((endpoint, i) => ($"Inference:Providers:vllm:Endpoints:{i}", endpoint)).Concat(settings))
        {
            start.Environment[key.Replace(":", "__")] = value;
        }

        var proxy = new ProxyProcess(Process.Start(start)!, address);
        using var client = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromSeconds(5) };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!await IsReadyAsync(client, limit.Token))
        {
            Assert.False(proxy._process.HasExited, "The proxy has ended.");
            await tick.WaitForNextTickAsync(limit.Token);
        }

        return proxy;
    }

    /// <summary>SIGKILL.</summary>
    public void Kill() => _process.Kill();

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(20));
        _process.Dispose();
    }

    private static async Task<bool> IsReadyAsync(HttpClient client, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await client.GetAsync("/health/ready", cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
