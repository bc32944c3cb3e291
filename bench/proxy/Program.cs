using System.Globalization;
using ValueCanvas.Bench;
using ValueCanvas.ProxyBench;
using ValueCanvas.ProxyBench.Upstream;

return await BenchProgram.RunAsync(stop => args switch
{
    ["upstream", var port] => UpstreamAsync(Number(port), stop),
    ["bare", var port, var upstream] => BareAsync(Number(port), Number(upstream), stop),
    ["run", .. var options] => ProxyBenchmark.RunAsync(Settings.Parse(options), stop),
    _ => BenchProgram.UsageAsync("bench/run.sh proxy"),
});

static async Task<int> UpstreamAsync(int port, CancellationToken stop)
{
    using var server = new UpstreamServer();
    await server.RunAsync(port, stop);
    return 0;
}

static async Task<int> BareAsync(int port, int upstream, CancellationToken stop)
{
    await BareForwarder.RunAsync(port, upstream, stop);
    return 0;
}

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
