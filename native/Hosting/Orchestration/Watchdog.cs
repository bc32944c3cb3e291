using System.Diagnostics;

namespace Aspire.Hosting.Orchestration;

/// <summary>
/// A process that waits for the AppHost to go, however that happens, and then kills what it left: everything that carries the run's mark in
/// its environment, and everything that works in the run's data directory (PostgreSQL's processes write over their environment).
/// It reaches grandchildren and stopped processes, which the kernel's parent-death signal alone does not.
/// </summary>
internal sealed class Watchdog : IAsyncDisposable
{
    public const string Mark = "VALUECANVAS_RUN";

    // The round takes a fraction of a second; on a machine that is overloaded it must still not be cut short.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    // Standard input ends when the AppHost does. Twice, because a process may fork while the first round goes on.
    private const string Script =
        """
        cat >/dev/null
        data=$(readlink -f "$2")
        for round in 1 2; do
          for file in $(grep -lzsxF "$1" /proc/[0-9]*/environ); do
            process=${file#/proc/}; kill -9 "${process%/environ}" 2>/dev/null
          done
          for link in $(find /proc/[0-9]*/cwd -prune -lname "$data/*" 2>/dev/null); do
            process=${link#/proc/}; kill -9 "${process%/cwd}" 2>/dev/null
          done
        done
        [ "$3" = throwaway ] && rm -rf "$2"
        exit 0
        """;

    private readonly Process _process;

    private Watchdog(Process process, string runId)
    {
        _process = process;
        RunId = runId;
    }

    public string RunId { get; }

    public static Watchdog Start(DataDirectory data)
    {
        var runId = Guid.NewGuid().ToString("N");
        var start = new ProcessStartInfo(
            "setsid", ["sh", "-c", Script, "watchdog", $"{Mark}={runId}", data.Path, data.IsThrowaway ? "throwaway" : ""])
        {
            WorkingDirectory = "/",
            RedirectStandardInput = true,
        };
        return new Watchdog(Process.Start(start)!, runId);
    }

    /// <summary>Lets it do its round, which finds nothing after an orderly stop.</summary>
    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        try
        {
            await _process.WaitForExitAsync().WaitAsync(Patience, TimeProvider.System).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}
