using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.LimitsBench;

/// <summary>What one process of the exactness stage does; told by an argument, answers with one line.</summary>
internal sealed record LoadJob(
    string Redis, string Algorithm, long Limit, double WindowSeconds, double Burst, string Name, int Clients, double Seconds, long StartAt);

/// <summary>Begins and ends are those of what ran at the same time, by the machine's clock, which all processes share.</summary>
internal sealed record LoadAnswer(long Admitted, long Refused, long NotCounted, double Seconds, long[] Begins, long[] Ends);

internal static class LoadProcess
{
    public static async Task<int> RunAsync(string text, CancellationToken cancellationToken)
    {
        var job = JsonSerializer.Deserialize<LoadJob>(text) ?? throw new ArgumentException("No job.");
        // Redis alone is to decide: what memory admits while an answer is late is another matter.
        await using var instance = await Instance.StartAsync(job.Redis, cancellationToken, TimeSpan.FromSeconds(1));
        var algorithm = Enum.Parse<LimitAlgorithm>(job.Algorithm);
        var charge = Instance.Charge(algorithm, job.Limit, TimeSpan.FromSeconds(job.WindowSeconds), job.Burst, "all", job.Name);
        var wait = DateTimeOffset.FromUnixTimeMilliseconds(job.StartAt) - TimeProvider.System.GetUtcNow();
        if (wait > TimeSpan.Zero)
            await Task.Delay(wait, TimeProvider.System, cancellationToken);

        long admitted = 0, refused = 0, elsewhere = 0;
        var (begins, ends) = (new ConcurrentBag<long>(), new ConcurrentBag<long>());
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, job.Clients).Select(_ => Task.Run(
            async () =>
            {
                while (Stopwatch.GetElapsedTime(started).TotalSeconds < job.Seconds)
                {
                    var decision = await instance.Limiter.ChargeAsync([charge], cancellationToken);
                    Interlocked.Increment(ref decision.Allowed ? ref admitted : ref refused);
                    if (!decision.Counted)
                        Interlocked.Increment(ref elsewhere);
                    if (!decision.Allowed || algorithm != LimitAlgorithm.Concurrency)
                        continue;
                    begins.Add(Stopwatch.GetTimestamp());
                    await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, cancellationToken);
                    ends.Add(Stopwatch.GetTimestamp());
                    await instance.Limiter.SettleAsync(decision, 0);
                }
            },
            cancellationToken)));
        Console.WriteLine(JsonSerializer.Serialize(
            new LoadAnswer(admitted, refused, elsewhere, Stopwatch.GetElapsedTime(started).TotalSeconds, [.. begins], [.. ends])));
        return 0;
    }
}
