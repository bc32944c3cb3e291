using System.Diagnostics;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ProxyBench.Routing;

/// <summary>Each workload under each policy, closed loop, on replicas whose caches are smaller than what the workload reuses.</summary>
internal static class RoutingStage
{
    private const int KvBlocks = 8192; // of 16 tokens: 131,072 tokens a replica
    private const int Concurrency = 48;

    public static async Task<JsonNode?> RunAsync(Settings settings, Servers servers, CancellationToken cancellationToken)
    {
        var count = settings.Quick ? 300 : 1600;
        var runs = new JsonArray();
        foreach (var workload in settings.Quick ? [Workload.SharedPrefixes] : new[] { Workload.SharedPrefixes, Workload.Code,
            Workload.NoReuse })
        {
            var items = workload.Requests(count).ToArray();
            foreach (var policy in settings.Quick ? ["round-robin", "prefix-aware"] : SimulatedFleet.Policies)
            {
                var run = await RunAsync(servers, policy, items, cancellationToken);
                run["workload"] = workload.Name;
                run["policy"] = policy;
                runs.Add(run);
                Console.Error.WriteLine($"  {workload.Name}, {policy}: {run["prompt_tokens_per_second"]} prompt tokens/s, "
                    + $"hit rate {run["hit_rate"]}");
            }
        }

        return new JsonObject
        {
            ["replicas"] = SimulatedFleet.Replicas, ["kv_blocks"] = KvBlocks, ["concurrency"] = Concurrency, ["requests"] = count,
            ["workloads"] = new JsonObject([.. new[] { Workload.SharedPrefixes, Workload.Code, Workload.NoReuse }
                .Select(w => KeyValuePair.Create(w.Name, (JsonNode?)w.Description))]),
            ["runs"] = runs,
        };
    }

    private static async Task<JsonObject> RunAsync(Servers servers, string policy, WorkItem[] items, CancellationToken cancellationToken)
    {
        using var fleet = await SimulatedFleet.StartAsync(servers, policy, KvBlocks, cancellationToken);
        using var client = new TokenClient(fleet.Proxy.Port);
        var warm = items.Length * 3 / 8; // the caches are full by then
        await LoopAsync(client, items[..warm], cancellationToken);
        client.Reset();
        var before = await fleet.ReadAsync(cancellationToken);
        var cpu = MachineCpu.Read();
        var started = Stopwatch.GetTimestamp();
        await LoopAsync(client, items[warm..], cancellationToken);
        return Report(client, await fleet.ReadAsync(cancellationToken) - before, Stopwatch.GetElapsedTime(started).TotalSeconds, cpu);
    }

    public static JsonObject Report(TokenClient client, Counters counted, double seconds, MachineCpu cpuBefore) => new()
    {
        ["seconds"] = Math.Round(seconds, 2),
        ["prompt_tokens_per_second"] = Math.Round(counted.Prompt / seconds, 0),
        ["generated_tokens_per_second"] = Math.Round(counted.Generated / seconds, 0),
        ["tokens_per_second"] = Math.Round((counted.Prompt + counted.Generated) / seconds, 0),
        ["hit_rate"] = Math.Round(counted.Hit / Math.Max(counted.Queried, 1), 4),
        ["queried_tokens"] = counted.Queried,
        ["hit_tokens"] = counted.Hit,
        ["preemptions"] = counted.Preempted,
        ["ttft_us"] = client.FirstToken.ToJson(),
        ["failed"] = client.Failed,
        // Near 1 the machine was the limit, not the simulated replicas.
        ["machine_cpu_share"] = Math.Round(MachineCpu.Read().BusySince(cpuBefore), 3),
    };

    private static async Task LoopAsync(TokenClient client, WorkItem[] items, CancellationToken cancellationToken)
    {
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, Concurrency).Select(async _ =>
        {
            while (Interlocked.Increment(ref next) is var i && i < items.Length)
                await client.SendAsync(items[i], cancellationToken);
        }));
    }
}
