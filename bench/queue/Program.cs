using System.Runtime.InteropServices;
using ValueCanvas.QueueBench;
using ValueCanvas.QueueBench.Servers;

// A worker and a submitter are processes of their own, which the bench starts.
if (args is ["worker"])
    return await BenchWorker.RunAsync();

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
            return await QueueBenchmark.RunAsync(QueueSettings.Parse(options), stop.Token);
        case ["submit", var seconds]:
            return await BenchSubmitter.RunAsync(seconds, stop.Token);
        default:
            Console.Error.WriteLine("Start it with bench/run.sh queue.");
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
