using ValueCanvas.Bench;
using ValueCanvas.LimitsBench;

return await BenchProgram.RunAsync(stop => args switch
{
    ["load", var job] => LoadProcess.RunAsync(job, stop),
    ["run", .. var options] => LimitsBenchmark.RunAsync(Settings.Parse(options), stop),
    _ => BenchProgram.UsageAsync("bench/run.sh limits"),
});
