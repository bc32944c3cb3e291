using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Native;

/// <summary>
/// The real AppHost as a process of its own, the way <c>dotnet run</c> starts it, on a data directory and ports of its own.
/// </summary>
internal sealed class AppHostProcess : IDisposable
{
    private const string Mark = "VALUECANVAS_TEST_MARK";

    private readonly string _mark = Guid.NewGuid().ToString("N");
    private readonly string _data;
    private readonly ConcurrentQueue<string> _output = new();
    private readonly Process _process;

    public AppHostProcess(string data, IReadOnlyDictionary<string, string>? environment = null)
    {
        _data = data;
        var name = "ValueCanvas.AppHost";
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var start = new ProcessStartInfo("dotnet")
        {
            ArgumentList = { Path.Combine(here.Parent!.Parent!.FullName, name, here.Name, $"{name}.dll") },
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                [Mark] = _mark,
                ["DOTNET_ENVIRONMENT"] = "Development",
                ["ASPNETCORE_URLS"] = $"http://localhost:{FreePort.Take()}",
                ["VALUECANVAS_DATA"] = data,
                ["VALUECANVAS_PORT"] = FreePort.Take().ToString(CultureInfo.InvariantCulture),
                // No dashboard: it is not what these tests are about.
                ["VALUECANVAS_ASPIRE_CLI"] = "",
                ["VALUECANVAS_TOOLS"] = data,
            },
        };
        foreach (var (key, value) in environment ?? new Dictionary<string, string>())
            start.Environment[key] = value;

        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        _process.ErrorDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    public IReadOnlyList<string> Output => [.. _output];

    /// <summary>Every process of this run, the AppHost included.</summary>
    public IReadOnlyList<int> Processes => [.. ProcessTable.WithVariable($"{Mark}={_mark}").Union(ProcessTable.WorkingIn(_data))];

    /// <summary>The servers and services among them, with all that they started.</summary>
    public IReadOnlyList<int> Resources =>
        [.. Processes.Where(id => ProcessTable.Variable(id, "VALUECANVAS_RUN") is not null).Union(ProcessTable.WorkingIn(_data))];

    /// <summary>Until a line begins with <paramref name="beginning"/>; fails when the AppHost ends first.</summary>
    public async Task PrintsAsync(string beginning, TimeSpan patience, CancellationToken cancellationToken)
    {
        await EventuallyAsync(
            () => _process.HasExited || Output.Any(line => line.StartsWith(beginning, StringComparison.Ordinal)),
            patience, cancellationToken);
        Assert.False(_process.HasExited, string.Join('\n', Output));
    }

    public async Task<int> ExitsAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken).WaitAsync(patience, TimeProvider.System, cancellationToken);
        return _process.ExitCode;
    }

    public Task LeavesNothingAsync(TimeSpan patience, CancellationToken cancellationToken) =>
        EventuallyAsync(() => Processes.Count == 0, patience, cancellationToken);

    public static void Signal(int processId, string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", processId.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.Dispose();
    }

    private static async Task EventuallyAsync(Func<bool> condition, TimeSpan patience, CancellationToken cancellationToken)
    {
        using var bounded = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        bounded.CancelAfter(patience);
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!condition())
            await poll.WaitForNextTickAsync(bounded.Token);
    }
}
