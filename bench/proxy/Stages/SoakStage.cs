using System.Diagnostics;
using System.Text.Json.Nodes;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ProxyBench.Processes;

namespace ValueCanvas.ProxyBench.Stages;

/// <summary>Memory under lasting mixed load (1 kB and 50 kB prompts, streams) and after it: a slope that is not 0 is a leak.</summary>
internal static class SoakStage
{
    public static async Task<JsonObject> RunAsync(Settings settings, Target proxy, CancellationToken cancellationToken)
    {
        var length = TimeSpan.FromMinutes(settings.SoakMinutes);
        var seconds = length.TotalSeconds;
        var started = Stopwatch.GetTimestamp();
        var small = Wrk.RunAsync(settings, proxy, 16, Prompts.Chat(1024, stream: false), seconds, cancellationToken);
        var large = Wrk.RunAsync(settings, proxy, 4, Prompts.Chat(50 * 1024, stream: false), seconds, cancellationToken);
        var streams = new StreamLoad(proxy, 32).RunAsync(length, cancellationToken);
        var load = Task.WhenAll(small, large, streams);
        var samples = new List<(double Minute, double Megabytes)>();
        var every = TimeSpan.FromSeconds(Math.Clamp(seconds / 120, 0.25, 10));
        while (!load.IsCompleted)
        {
            samples.Add((Stopwatch.GetElapsedTime(started).TotalMinutes, proxy.Process!.ResidentBytes() / 1048576.0));
            await Task.Delay(every, TimeProvider.System, cancellationToken);
        }

        await load;
        await Task.Delay(TimeSpan.FromSeconds(settings.Quick ? 2 : 30), TimeProvider.System, cancellationToken);
        return new JsonObject
        {
            ["minutes"] = settings.SoakMinutes,
            ["rss_mb_max"] = Math.Round(samples.Max(s => s.Megabytes), 1),
            ["rss_mb_end"] = Math.Round(samples[^1].Megabytes, 1),
            ["rss_mb_after_idle"] = Math.Round(proxy.Process!.ResidentBytes() / 1048576.0, 1),
            ["slope_mb_per_hour_second_half"] = Math.Round(Slope(samples.Skip(samples.Count / 2).ToList()) * 60, 2),
            ["small"] = await small,
            ["large"] = await large,
            ["streams"] = await streams,
            ["samples"] = new JsonArray([.. samples.Select(s => (JsonNode)new JsonArray(Math.Round(s.Minute, 3), Math.Round(s.Megabytes,
                1)))]),
        };
    }

    private static double Slope(List<(double Minute, double Megabytes)> samples)
    {
        var (x, y) = (samples.Average(s => s.Minute), samples.Average(s => s.Megabytes));
        var spread = samples.Sum(s => (s.Minute - x) * (s.Minute - x));
        return spread == 0 ? 0 : samples.Sum(s => (s.Minute - x) * (s.Megabytes - y)) / spread;
    }
}
