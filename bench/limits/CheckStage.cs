using System.Diagnostics;
using System.Text.Json.Nodes;
using ValueCanvas.Api.RateLimiting;

namespace ValueCanvas.LimitsBench;

/// <summary>Checks per second from callers that ask again at once, then the latency at half of that rate, at which no caller waits for another.</summary>
internal static class CheckStage
{
    private const int Callers = 64;
    private const int Subjects = 1000;
    private const long NeverReached = 1_000_000_000;

    public static async Task<JsonObject> RunAsync(string store, int policies, string? redis, double seconds, CancellationToken cancellationToken)
    {
        await using var instance = await Instance.StartAsync(redis, cancellationToken);
        var charges = Enumerable.Range(0, Subjects).Select(i => Instance.Charges(policies, NeverReached, $"s{i}")).ToArray();

        await ClosedAsync(instance, charges, Math.Min(2, seconds / 2), cancellationToken); // warm
        var (rate, closed) = await ClosedAsync(instance, charges, seconds, cancellationToken);
        var (offered, open, missed) = await OpenAsync(instance, charges, rate / 2, seconds, cancellationToken);
        return new JsonObject
        {
            ["store"] = store,
            ["policies"] = policies,
            ["checks_per_second"] = Math.Round(rate),
            ["closed"] = closed.ToJson(),
            ["offered_per_second"] = Math.Round(offered),
            ["open"] = open.ToJson(),
            ["not_counted_in_store"] = missed,
        };
    }

    private static async Task<(double Rate, Latencies Times)> ClosedAsync(
        Instance instance, Charge[][] charges, double seconds, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var times = await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(
            async () =>
            {
                var mine = new Latencies();
                for (var i = caller; Stopwatch.GetElapsedTime(started).TotalSeconds < seconds; i++)
                {
                    var asked = Stopwatch.GetTimestamp();
                    await instance.Limiter.ChargeAsync(charges[i * 7 % Subjects], cancellationToken);
                    mine.Add(Stopwatch.GetElapsedTime(asked));
                }

                return mine;
            },
            cancellationToken)));
        var elapsed = Stopwatch.GetElapsedTime(started);
        var merged = Latencies.Merge(times);
        return (merged.Count / elapsed.TotalSeconds, merged);
    }

    /// <summary>Each check has its time; it is measured from then, however late it was begun.</summary>
    private static async Task<(double Offered, Latencies Times, int Missed)> OpenAsync(
        Instance instance, Charge[][] charges, double rate, double seconds, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var total = (long)(rate * seconds);
        var next = -1L;
        var missed = 0;
        var isRedis = !instance.Gate.IsOpen;
        var times = await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(
            async () =>
            {
                var mine = new Latencies();
                while (Interlocked.Increment(ref next) is var i && i < total)
                {
                    var due = started + (long)(i / rate * Stopwatch.Frequency);
                    while (Stopwatch.GetTimestamp() < due)
                    {
                        // A timer is a millisecond too coarse; who waits for his turn leaves the thread to those who have theirs.
                        if (Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due) > TimeSpan.FromMilliseconds(2))
                            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, cancellationToken);
                        else
                            await Task.Yield();
                    }

                    var decision = await instance.Limiter.ChargeAsync(charges[i * 7 % Subjects], cancellationToken);
                    mine.Add(Stopwatch.GetElapsedTime(due));
                    if (isRedis && !decision.Counted)
                        Interlocked.Increment(ref missed);
                }

                return mine;
            },
            cancellationToken)));
        return (total / Stopwatch.GetElapsedTime(started).TotalSeconds, Latencies.Merge(times), missed);
    }
}
