using System.Runtime.InteropServices;

namespace ValueCanvas.Bench;

/// <summary>How every benchmark begins and ends.</summary>
internal static class BenchProgram
{
    /// <returns>
    /// What the benchmark returns; 130 where SIGTERM or SIGINT stopped it, 1 where it was asked for what makes no sense or cannot be had,
    /// which is said.
    /// </returns>
    public static async Task<int> RunAsync(Func<CancellationToken, Task<int>> run)
    {
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }

        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        try
        {
            return await run(stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return 130;
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
    }

    /// <summary>For arguments that are no benchmark's.</summary>
    public static Task<int> UsageAsync(string commands)
    {
        Console.Error.WriteLine($"Start it with {commands}.");
        return Task.FromResult(2);
    }
}
