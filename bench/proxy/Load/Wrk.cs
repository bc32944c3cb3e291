using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ProxyBench.Load;

/// <summary>Closed-loop load: each connection sends the next request when it has the last one's answer.</summary>
internal static class Wrk
{
    private const string Script = """
        local file = io.open(os.getenv("BENCH_BODY"), "rb")
        wrk.method = "POST"
        wrk.body = file:read("*a")
        file:close()
        wrk.headers["Content-Type"] = "application/json"
        for name, value in string.gmatch(os.getenv("BENCH_HEADERS") or "", "([^=;]+)=([^;]*);") do wrk.headers[name] = value end
        function done(summary, latency, requests)
          io.write(string.format(
            'JSON{"requests":%d,"duration_us":%d,"bytes":%d,"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d},'
            .. '"latency_us":{"min":%d,"p50":%d,"p90":%d,"p99":%d,"p999":%d,"max":%d}}\n',
            summary.requests, summary.duration, summary.bytes, summary.errors.connect, summary.errors.read, summary.errors.write,
            summary.errors.status, summary.errors.timeout, latency.min, latency:percentile(50), latency:percentile(90),
            latency:percentile(99), latency:percentile(99.9), latency.max))
        end
        """;

    /// <summary>One run: the figures of wrk, with requests a second and the server's CPU time a request.</summary>
    public static async Task<JsonObject> RunAsync(
        Settings settings, Target target, int connections, byte[] body, double seconds, CancellationToken cancellationToken)
    {
        var script = Path.Combine(settings.WorkDirectory, "wrk.lua");
        var bodyFile = Path.Combine(settings.WorkDirectory, $"body-{body.Length}.json");
        await File.WriteAllTextAsync(script, Script, cancellationToken);
        await File.WriteAllBytesAsync(bodyFile, body, cancellationToken);
        var before = target.Process?.CpuSeconds() ?? 0;
        var output = await Shell.RunAsync("env",
        [
            $"BENCH_BODY={bodyFile}", $"BENCH_HEADERS={string.Concat(target.Headers.Select(h => $"{h.Name}={h.Value};"))}",
            "wrk", "-t1", $"-c{connections}", $"-d{Math.Max(1, (int)Math.Ceiling(seconds))}s", "--timeout", "10s", "-s", script,
            $"http://127.0.0.1:{target.Port}{Target.Path}",
        ], cancellationToken);
        var json = output?.Split('\n').FirstOrDefault(line => line.StartsWith("JSON", StringComparison.Ordinal))
            ?? throw new InvalidOperationException($"wrk failed against {target.Name}: {output}");
        var figures = JsonNode.Parse(json[4..])!.AsObject();
        var requests = (double)figures["requests"]!;
        figures["requests_per_second"] = Math.Round(requests / ((double)figures["duration_us"]! / 1e6), 1);
        if (target.Process is { } process && requests > 0)
            figures["cpu_us_per_request"] = Math.Round((process.CpuSeconds() - before) * 1e6 / requests, 1);

        return figures;
    }
}
