using System.Diagnostics;
using ValueCanvas.Tests.InferenceProxy;

namespace ValueCanvas.Tests.Api.Usage;

/// <summary>The Api as it is built, in a process of its own.</summary>
internal sealed class ApiProcess : IAsyncDisposable
{
    private readonly Process _process;

    private ApiProcess(Process process, Uri address) => (_process, Address) = (process, address);

    public Uri Address { get; }

    public static async Task<ApiProcess> StartAsync(params (string Key, string Value)[] settings)
    {
        const string name = "ValueCanvas.Api";
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var folder = Path.Combine(here.Parent!.Parent!.FullName, name, here.Name);
        var address = new Uri(DeadAddress.Take());
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

        var api = new ApiProcess(Process.Start(start)!, address);
        api._process.OutputDataReceived += (_, _) => { };
        api._process.BeginOutputReadLine();
        using var client = new HttpClient { BaseAddress = address, Timeout = TimeSpan.FromSeconds(5) };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(90));
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!await IsUpAsync(client, limit.Token))
        {
            Assert.False(api._process.HasExited, "The Api has ended.");
            await tick.WaitForNextTickAsync(limit.Token);
        }

        return api;
    }

    /// <summary>SIGKILL; returns when nothing of it is left.</summary>
    public Task KillAsync()
    {
        _process.Kill();
        return _process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(20));
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            await KillAsync();
        _process.Dispose();
    }

    private static async Task<bool> IsUpAsync(HttpClient client, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await client.GetAsync("/health/live", cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
