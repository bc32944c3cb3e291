using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ProxyBench.Routing;

/// <summary>
/// An hour of a real chat service, open loop. Lengths are divided by <see cref="Scale"/>, and so are the replicas' caches; the time by the
/// speed. Each block id becomes a fixed text, so that equal ids are equal bytes and a shared prefix of ids is one of the prompts.
/// </summary>
internal static class TraceStage
{
    private const int Scale = 8;
    private const int TraceBlock = 512;
    private const int CharactersPerToken = 4;
    private const int KvBlocks = 29_205 / Scale;
    private const int SimulatorBlock = 16;
    private const int BlockCharacters = TraceBlock / Scale * CharactersPerToken;

    public static async Task<JsonNode?> RunAsync(Settings settings, Servers servers, CancellationToken cancellationToken)
    {
        if (!File.Exists(settings.Trace))
        {
            var reason = $"there is no file {settings.Trace}; give one with --trace";
            Console.Error.WriteLine($"trace: skipped, {reason}");
            return new JsonObject { ["skipped"] = reason };
        }

        var requests = File.ReadLines(settings.Trace!).Where(l => l.Length > 0).Select(TraceRequest.Parse).OrderBy(r =>
            r.Milliseconds).ToArray();
        if (settings.Quick)
            requests = requests[..(requests.Length / 20)];

        // One cache as large as all replicas' together, in the trace's blocks.
        var shared = SharedCache.HitRate(requests, SimulatedFleet.Replicas * KvBlocks * SimulatorBlock * Scale / TraceBlock, TraceBlock);
        var runs = new JsonArray();
        foreach (var policy in SimulatedFleet.Policies)
        {
            var run = await RunAsync(servers, policy, requests, settings.TraceSpeed, cancellationToken);
            run["policy"] = policy;
            run["share_of_one_cache"] = Math.Round((double)run["hit_rate"]! / shared, 3);
            runs.Add(run);
            Console.Error.WriteLine($"  trace, {policy}: hit rate {run["hit_rate"]} of {shared:0.000} with one shared cache");
        }

        return new JsonObject
        {
            ["requests"] = requests.Length,
            ["lengths_divided_by"] = Scale,
            ["speed"] = settings.TraceSpeed,
            ["kv_blocks"] = KvBlocks,
            ["hit_rate_of_one_shared_cache"] = Math.Round(shared, 4),
            ["hit_rate_of_unbounded_cache"] = Math.Round(SharedCache.HitRate(requests, int.MaxValue, TraceBlock), 4),
            ["runs"] = runs,
        };
    }

    private static async Task<JsonObject> RunAsync(
        Servers servers, string policy, TraceRequest[] requests, double speed, CancellationToken cancellationToken)
    {
        using var fleet = await SimulatedFleet.StartAsync(servers, policy, KvBlocks, cancellationToken);
        using var client = new TokenClient(fleet.Proxy.Port);
        var underWay = new List<Task>(requests.Length);
        var (late, cpu, started) = (new Samples(), MachineCpu.Read(), Stopwatch.GetTimestamp());
        foreach (var request in requests)
        {
            var wait = TimeSpan.FromMilliseconds(request.Milliseconds / speed) - Stopwatch.GetElapsedTime(started);
            if (wait > TimeSpan.Zero)
                await Task.Delay(wait, TimeProvider.System, cancellationToken);

            late.Add(Math.Max(0, -wait.Ticks) * (Stopwatch.Frequency / TimeSpan.TicksPerSecond));
            underWay.Add(client.SendAsync(Item(request), cancellationToken));
        }

        await Task.WhenAll(underWay);
        var report = RoutingStage.Report(client, await fleet.ReadAsync(cancellationToken), Stopwatch.GetElapsedTime(started).TotalSeconds,
            cpu);
        report["sent_late_us"] = late.ToJson();
        report["expected_prompt_tokens"] = requests.Sum(r => (long)r.InputTokens) / Scale;
        return report;
    }

    private static WorkItem Item(TraceRequest request)
    {
        var text = new StringBuilder();
        foreach (var id in request.Blocks)
            text.Append(Prompts.Prose(new Random(id), BlockCharacters));

        // The last block is seldom full. A cut must not split an escaped character.
        var length = Math.Min(text.Length, Math.Max(1, request.InputTokens / Scale * CharactersPerToken));
        text.Length = text[length - 1] == '\\' ? length - 1 : length;
        return Workload.Chat(null, text.ToString(), Math.Max(1, request.OutputTokens / Scale));
    }
}
