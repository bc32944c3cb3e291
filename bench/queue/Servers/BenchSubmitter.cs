using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.ProxyBench.Load;
using ValueCanvas.ServiceDefaults.Caching;

namespace ValueCanvas.QueueBench.Servers;

/// <summary>Submits jobs without HTTP, as the peer's library does: callers that each go on when their job has been committed.</summary>
internal static class BenchSubmitter
{
    public static async Task<int> RunAsync(string seconds, CancellationToken cancellationToken)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.AddValueCanvasDatabase();
        builder.AddValueCanvasCache();
        builder.Services.AddJobQueue();
        using var host = builder.Build();
        await host.StartAsync(cancellationToken);
        var store = host.Services.GetRequiredService<JobStore>();
        await SubmitAsync(store, TimeSpan.FromSeconds(2), cancellationToken); // warm
        Console.WriteLine((await SubmitAsync(
            store, TimeSpan.FromSeconds(double.Parse(seconds, CultureInfo.InvariantCulture)), cancellationToken)).ToJsonString());
        await host.StopAsync(cancellationToken);
        return 0;
    }

    private static async Task<JsonObject> SubmitAsync(JobStore store, TimeSpan time, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var samples = await Task.WhenAll(Enumerable.Range(0, QueueSettings.Callers).Select(_ => Task.Run(
            async () =>
            {
                var own = new Samples();
                while (Stopwatch.GetElapsedTime(started) < time)
                {
                    var asked = Stopwatch.GetTimestamp();
                    await store.EnqueueAsync(Tenants.Development, JobTypes.Chat, null, QueueServers.Args, cancellationToken);
                    own.Add(Stopwatch.GetTimestamp() - asked);
                }

                return own;
            },
            cancellationToken)));
        var elapsed = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var all = new Samples();
        foreach (var one in samples)
            all.AddRange(one);
        return new JsonObject { ["jobs_per_second"] = Math.Round(all.Count / elapsed, 1), ["latency_us"] = all.ToJson() };
    }
}
