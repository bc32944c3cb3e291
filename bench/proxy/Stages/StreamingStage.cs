using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ProxyBench.Stages;

/// <summary>1, 64 and 512 paced streams at a time, each target in its turn.</summary>
internal static class StreamingStage
{
    public static readonly int[] Streams = [1, 64, 512];

    public static async Task<JsonObject> RunAsync(Settings settings, IReadOnlyList<Target> targets, CancellationToken cancellationToken)
    {
        var duration = TimeSpan.FromSeconds(settings.Quick ? 2.5 : settings.Seconds * 3);
        var runs = new JsonArray();
        foreach (var target in targets.Where(t => !settings.Quick || t.Name is Target.Direct or Target.Ours))
        {
            await new StreamLoad(target, 64).RunAsync(TimeSpan.FromSeconds(settings.Quick ? 1 : 4), cancellationToken);
            foreach (var streams in Streams)
            {
                for (var round = 0; round < (settings.Quick ? 1 : 2); round++)
                {
                    var figures = await new StreamLoad(target, streams).RunAsync(duration, cancellationToken);
                    figures["target"] = target.Name;
                    figures["round"] = round;
                    runs.Add(figures);
                }
            }
        }

        return new JsonObject { ["runs"] = runs };
    }
}
