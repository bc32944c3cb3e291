using System.Globalization;
using System.Runtime.InteropServices;
using ValueCanvas.ProxyBench;
using ValueCanvas.ProxyBench.Upstream;

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
        case ["upstream", var port]:
            using (var server = new UpstreamServer())
            {
                await server.RunAsync(int.Parse(port, CultureInfo.InvariantCulture), stop.Token);
            }

            return 0;
        case ["bare", var port, var upstream]:
            await BareForwarder.RunAsync(int.Parse(port, CultureInfo.InvariantCulture), int.Parse(upstream, CultureInfo.InvariantCulture),
                stop.Token);
            return 0;
        case ["run", .. var options]:
            return await ProxyBenchmark.RunAsync(Settings.Parse(options), stop.Token);
        default:
            Console.Error.WriteLine("Start it with bench/run.sh proxy.");
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
