using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using ValueCanvas.Tests.InferenceProxy;

namespace ValueCanvas.Tests.VllmSimulator;

/// <summary>A simulated model server in a process of its own, which can be killed.</summary>
internal sealed class SimulatorProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly HttpClient _client;

    private SimulatorProcess(Process process, string address)
    {
        (_process, Address) = (process, address);
        _client = new HttpClient { BaseAddress = new Uri(address), Timeout = TimeSpan.FromSeconds(5) };
    }

    public string Address { get; }

    public static async Task<SimulatorProcess> StartAsync(params (string Key, string Value)[] settings)
    {
        const string name = "ValueCanvas.VllmSimulator";
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var folder = Path.Combine(here.Parent!.Parent!.FullName, name, here.Name);
        var address = DeadAddress.Take();
        var start = new ProcessStartInfo(
            "dotnet", [Path.Combine(folder, $"{name}.dll"), $"--urls={address}", "--Logging:LogLevel:Default=None"])
        {
            WorkingDirectory = folder,
        };
        foreach (var (key, value) in settings)
            start.ArgumentList.Add($"--Simulator:{key}={value}");
        var simulator = new SimulatorProcess(Process.Start(start)!, address);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!await simulator.IsUpAsync(limit.Token))
        {
            Assert.False(simulator._process.HasExited, "The simulator has ended.");
            await tick.WaitForNextTickAsync(limit.Token);
        }

        return simulator;
    }

    /// <summary>Its counter of requests that it works on.</summary>
    public async Task<double> RunningAsync()
    {
        var text = await _client.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        var counter = Regex.Match(text, @"^vllm:num_requests_running\{.*\} (.+)$", RegexOptions.Multiline);
        return double.Parse(counter.Groups[1].Value, CultureInfo.InvariantCulture);
    }

    /// <summary>SIGKILL.</summary>
    public void Kill() => _process.Kill();

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(20));
        _process.Dispose();
        _client.Dispose();
    }

    private async Task<bool> IsUpAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var response = await _client.GetAsync("/health", cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
