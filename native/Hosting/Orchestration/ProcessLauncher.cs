using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;

namespace Aspire.Hosting.Orchestration;

/// <summary>
/// Starts every process from one thread that lives as long as the AppHost: the kernel's parent-death signal follows the thread that forked,
/// so a process started from the thread pool would be killed when its pool thread retires.
/// </summary>
internal sealed class ProcessLauncher : IDisposable
{
    private readonly BlockingCollection<Action> _requests = new(boundedCapacity: 256);
    private readonly Thread _thread;

    public ProcessLauncher()
    {
        _thread = new Thread(Work) { IsBackground = true, Name = "process launcher" };
        _thread.Start();
    }

    /// <summary>Starts the process in a session of its own, so that the terminal's Ctrl+C reaches the AppHost alone.</summary>
    public Task<Process> StartAsync(ProcessCommand command)
    {
        var started = new TaskCompletionSource<Process>(TaskCreationOptions.RunContinuationsAsynchronously);
        _requests.Add(() =>
        {
            try
            {
                started.SetResult(Process.Start(Describe(command))!);
            }
            catch (Win32Exception e)
            {
                started.SetException(new DistributedApplicationException($"{command.FileName} cannot be started: {e.Message}", e));
            }
        });
        return started.Task;
    }

    public void Dispose()
    {
        _requests.CompleteAdding();
        _thread.Join();
        _requests.Dispose();
    }

    private static ProcessStartInfo Describe(ProcessCommand command)
    {
        var start = new ProcessStartInfo("setsid")
        {
            WorkingDirectory = command.WorkingDirectory ?? "/",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add("setpriv");
        start.ArgumentList.Add("--pdeathsig=KILL");
        if (command.User is { } user)
        {
            start.ArgumentList.Add($"--reuid={user.UserId}");
            start.ArgumentList.Add($"--regid={user.GroupId}");
            start.ArgumentList.Add("--clear-groups");
        }

        start.ArgumentList.Add("--");
        start.ArgumentList.Add(command.FileName);
        foreach (var argument in command.Arguments)
            start.ArgumentList.Add(argument);

        foreach (var name in command.WithoutVariables)
            start.Environment.Remove(name);
        foreach (var (name, value) in command.Environment)
            start.Environment[name] = value;
        return start;
    }

    private void Work()
    {
        foreach (var request in _requests.GetConsumingEnumerable())
            request();
    }
}
