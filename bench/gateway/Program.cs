using ValueCanvas.Bench;
using ValueCanvas.GatewayBench;
using ValueCanvas.GatewayBench.LoadTest;

return await BenchProgram.RunAsync(stop => args switch
{
    ["run", .. var options] => GatewayBenchmark.RunAsync(GatewaySettings.Parse(options), stop),
    ["load", .. var options] => LoadTestCommand.RunAsync(LoadSettings.Parse(options), stop),
    _ => BenchProgram.UsageAsync("bench/run.sh gateway, or bench/run.sh load"),
});
