using System.Runtime.InteropServices;
using ValueCanvas.GatewayBench;
using ValueCanvas.GatewayBench.LoadTest;

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
    switch (args)
    {
        case ["run", .. var options]:
            return await GatewayBenchmark.RunAsync(GatewaySettings.Parse(options), stop.Token);
        case ["load", .. var options]:
            return await LoadTestCommand.RunAsync(LoadSettings.Parse(options), stop.Token);
        default:
            Console.Error.WriteLine("Start it with bench/run.sh gateway, or bench/run.sh load.");
            return 2;
    }
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
