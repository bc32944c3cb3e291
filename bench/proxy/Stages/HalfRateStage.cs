using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ProxyBench.Stages;

/// <summary>Latencies at half of each target's own maximum, measured just before, 1 kB prompts, open loop; and direct at the same
/// rate.</summary>
internal static class HalfRateStage
{
    private const int Connections = 64;

    public static async Task<JsonArray> RunAsync(Settings settings, IReadOnlyList<Target> targets, CancellationToken cancellationToken)
    {
        var body = Prompts.Chat(1024, stream: false);
        var duration = TimeSpan.FromSeconds(settings.Quick ? 2 : 10);
        var results = new JsonArray();
        foreach (var target in targets.Where(t =>
            t.Process is not null && (settings.Quick ? t.Name is Target.Nginx or Target.Ours : t.Name != Target.Bare)))
        {
            await Wrk.RunAsync(settings, target, Connections, body, settings.Quick ? 1 : 10, cancellationToken); // warm
            var maximum = (double)(await Wrk.RunAsync(settings, target, Connections, body, settings.Quick ? 1 : 5,
                cancellationToken))["requests_per_second"]!;
            foreach (var at in new[] { targets[0], target })
            {
                var figures = await new RateLoad(at, maximum / 2, Connections).RunAsync(duration, cancellationToken);
                figures["target"] = at.Name;
                figures["half_of"] = target.Name;
                figures["maximum_requests_per_second"] = Math.Round(maximum, 0);
                results.Add(figures);
            }
        }

        return results;
    }
}
