using System.Collections.Concurrent;
using System.Diagnostics;

namespace Aspire.Hosting.Orchestration;

/// <summary>A running process of one resource: its output, its end, and how to bring that about.</summary>
internal sealed class ChildProcess
{
    private const int KeptLines = 30;

    private static readonly TimeSpan OutputPatience = TimeSpan.FromSeconds(1);

    private readonly Process _process;
    private readonly int _stopSignal;
    private readonly ConcurrentQueue<string> _lastLines = new();
    private readonly Task _output;

    private ChildProcess(Process process, int stopSignal, Action<string> onLine)
    {
        _process = process;
        _stopSignal = stopSignal;
        Id = process.Id;
        _output = Task.WhenAll(ReadAsync(process.StandardOutput, onLine), ReadAsync(process.StandardError, onLine));
        Exited = WaitAsync();
    }

    public int Id { get; }

    /// <summary>Completes with the exit code, after the last output.</summary>
    public Task<int> Exited { get; }

    public IReadOnlyList<string> LastLines => [.. _lastLines];

    public static async Task<ChildProcess> StartAsync(ProcessLauncher launcher, ProcessCommand command, Action<string> onLine)
    {
        var process = await launcher.StartAsync(command).ConfigureAwait(false);
        try
        {
            await process.StandardInput.WriteAsync(command.Input).ConfigureAwait(false);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended without reading; its exit code tells why.
        }

        return new ChildProcess(process, command.StopSignal, onLine);
    }

    /// <summary>Asks it to end, wakes it if it is stopped, and kills it when it takes longer than <paramref name="patience"/>.</summary>
    public async Task StopAsync(TimeSpan patience)
    {
        Signals.Send(Id, _stopSignal);
        Signals.Send(Id, Signals.Continue);
        try
        {
            await Exited.WaitAsync(patience, TimeProvider.System).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            Signals.SendToGroup(Id, Signals.Kill);
            await Exited.ConfigureAwait(false);
        }
    }

    private async Task<int> WaitAsync()
    {
        await _process.WaitForExitAsync().ConfigureAwait(false);
        var code = _process.ExitCode;

        // What it started in its group goes with it.
        Signals.SendToGroup(Id, Signals.Kill);
        await Task.WhenAny(_output, Task.Delay(OutputPatience, TimeProvider.System)).ConfigureAwait(false);
        _process.Dispose();
        return code;
    }

    private async Task ReadAsync(StreamReader reader, Action<string> onLine)
    {
        try
        {
            while (await reader.ReadLineAsync().ConfigureAwait(false) is { } line)
            {
                _lastLines.Enqueue(line);
                if (_lastLines.Count > KeptLines)
                    _lastLines.TryDequeue(out _);
                onLine(line);
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The process is gone.
        }
    }
}
