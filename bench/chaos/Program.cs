using ValueCanvas.ChaosBench;

return await ValueCanvas.Bench.BenchProgram.RunAsync(stop => args switch
{
    ["run", .. var options] => ChaosBenchmark.RunAsync(ChaosSettings.Parse(options), stop),
    _ => ValueCanvas.Bench.BenchProgram.UsageAsync("bench/run.sh chaos"),
});
