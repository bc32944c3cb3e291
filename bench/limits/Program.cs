using System.Runtime.InteropServices;
using ValueCanvas.LimitsBench;

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
    return args switch
    {
        ["load", var job] => await LoadProcess.RunAsync(job, stop.Token),
        ["run", .. var options] => await LimitsBenchmark.RunAsync(Settings.Parse(options), stop.Token),
        _ => Usage(),
    };
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

static int Usage()
{
    Console.Error.WriteLine("Start it with bench/run.sh limits.");
    return 2;
}
