using System.Diagnostics;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Worker;

/// <summary>A worker as it is deployed: a process of its own, which can be killed and frozen.</summary>
internal sealed class WorkerProcess : IAsyncDisposable
{
    private readonly Process _process;

    private WorkerProcess(Process process) => _process = process;

    /// <summary>Of the process; the middle part of <c>worker_id</c>.</summary>
    public int Id => _process.Id;

    public static WorkerProcess Start(MigratedDatabase database, string inference, params (string Key, string Value)[] settings) =>
        Start(database.App, database.Redis, inference, settings);

    public static WorkerProcess Start(string database, string redis, string inference, params (string Key, string Value)[] settings)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            WorkingDirectory = AppContext.BaseDirectory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "ValueCanvas.Worker.dll"));
        foreach (var (key, value) in (ReadOnlySpan<(string, string)>)
        [
            ("ConnectionStrings:valuecanvas", database + ";Pooling=true;Maximum Pool Size=5"),
            ("ConnectionStrings:cache", redis),
            ("services:inference:http:0", inference),
            ("ASPNETCORE_URLS", "http://127.0.0.1:0"),
            ("LOG_LEVEL", "Error"),
            .. settings,
        ])
        {
            start.Environment[key.Replace(":", "__", StringComparison.Ordinal)] = value;
        }

        var process = Process.Start(start)!;
        // Nobody reads what it says, and a full pipe would stop it.
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return new WorkerProcess(process);
    }

    /// <summary>Returns when nothing of it is left.</summary>
    public async Task KillAsync()
    {
        await SignalAsync("KILL");
        await _process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(20));
    }

    public Task FreezeAsync() => SignalAsync("STOP");

    public Task ThawAsync() => SignalAsync("CONT");

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(20));
        _process.Dispose();
    }

    private async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{_process.Id}"]);
        await kill.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20));
    }
}
