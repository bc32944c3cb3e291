using System.Diagnostics;
using System.Globalization;

namespace ValueCanvas.ProxyBench.Processes;

/// <summary>A server that the bench starts, watches and stops, with its children.</summary>
internal sealed class ServerProcess : IDisposable
{
    private const double TicksPerSecond = 100; // USER_HZ, on every Linux of today
    private readonly Process _process;

    private ServerProcess(string name, Process process) => (Name, _process) = (name, process);

    public string Name { get; }

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    public static ServerProcess Start(string name, string log, string file, IEnumerable<string> arguments,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        // The shell only redirects: what a server prints must cost the bench nothing.
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        foreach (var argument in new[] { "-c", "exec \"$@\" >>\"$LOG\" 2>&1 </dev/null", "sh", file }.Concat(arguments))
            start.ArgumentList.Add(argument);

        // What is tuned for the bench itself must not reach what it measures.
        foreach (var key in start.Environment.Keys.Where(k => k.StartsWith("DOTNET_", StringComparison.Ordinal)
            || k.StartsWith("OTEL_", StringComparison.Ordinal) || k.StartsWith("ASPNETCORE_", StringComparison.Ordinal)).ToArray())
        {
            if (key != "DOTNET_ROOT")
                start.Environment.Remove(key);
        }

        start.Environment["LOG"] = log;
        foreach (var (key, value) in environment ?? new Dictionary<string, string>())
            start.Environment[key] = value;

        return new ServerProcess(name, Process.Start(start)!);
    }

    /// <summary>CPU seconds of the process and its children so far.</summary>
    public double CpuSeconds() => Family().Sum(pid => Stat(pid) is { } s ? (Number(s[11]) + Number(s[12])) / TicksPerSecond : 0);

    /// <summary>Resident memory of the process and its children in bytes.</summary>
    public long ResidentBytes() => Family().Sum(pid => Stat(pid) is { } s ? Number(s[21]) * Environment.SystemPageSize : 0);

    public void Dispose()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit(5000);
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // Gone already.
        }

        _process.Dispose();
    }

    private HashSet<int> Family()
    {
        var parents = new List<(int Pid, int Parent)>();
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var pid)
                && Stat(pid) is { } stat)
            {
                parents.Add((pid, (int)Number(stat[1])));
            }
        }

        var family = new HashSet<int> { _process.Id };
        while (parents.RemoveAll(p => family.Contains(p.Parent) && family.Add(p.Pid)) > 0)
        {
        }

        return family;
    }

    // The fields behind the program's name, which may hold spaces: 0 is the state, 1 the parent.
    private static string[]? Stat(int pid)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{pid}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}
