using System.Diagnostics;
using System.Text.Json.Nodes;
using ValueCanvas.Api.RateLimiting;

namespace ValueCanvas.LimitsBench;

/// <summary>Checks per second from callers that ask again at once, then the latency at half of that rate.</summary>
internal static class CheckStage
{
    private const int Callers = 64;
    private const int Subjects = 1000;
    private const long NeverReached = 1_000_000_000;

    public static async Task<JsonObject> RunAsync(
        string store, int policies, string? redis, double seconds, CancellationToken cancellationToken)
    {
        await using var instance = await Instance.StartAsync(redis, cancellationToken);
        var charges = Enumerable.Range(0, Subjects).Select(i => Instance.Charges(policies, NeverReached, $"s{i}")).ToArray();

        await ClosedAsync(instance, charges, Math.Min(2, seconds / 2), cancellationToken); // warm
        var (rate, closed) = await ClosedAsync(instance, charges, seconds, cancellationToken);
        var (offered, open, begun, own, missed) = await OpenAsync(instance, charges, rate / 2, seconds, cancellationToken);
        return new JsonObject
        {
            ["store"] = store,
            ["policies"] = policies,
            ["checks_per_second"] = Math.Round(rate),
            ["closed"] = closed.ToJson(),
            ["offered_per_second"] = Math.Round(offered),
            ["open"] = open.ToJson(),
            ["begun_after_due"] = begun.ToJson(),
            ["from_begin_to_end"] = own.ToJson(),
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

    /// <summary>
    /// Each check has its time; it is measured from then, however late it was begun, and nobody waits for another's answer. How late they
    /// were begun, and what each took from there, stand beside it: the load shares its two cores with what it loads.
    /// </summary>
    private static async Task<(double Offered, Latencies Times, Latencies Begun, Latencies Own, int Missed)> OpenAsync(
        Instance instance, Charge[][] charges, double rate, double seconds, CancellationToken cancellationToken)
    {
        var times = new double[(long)(rate * seconds)];
        var begun = new double[times.Length];
        var own = new double[times.Length];
        var (left, missed) = (times.LongLength, 0);
        var isRedis = !instance.Gate.IsOpen;
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Environment.ProcessorCount).Select(pacer => Task.Factory.StartNew(
            () => Pace(pacer), cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
        await all.Task.WaitAsync(cancellationToken);
        return (times.LongLength / Stopwatch.GetElapsedTime(started).TotalSeconds, Latencies.Of(times), Latencies.Of(begun),
            Latencies.Of(own), missed);

        long Due(long i) => started + (long)(i / rate * Stopwatch.Frequency);

        // Sleeping between, for who spins takes the processor from those who are measured.
        void Pace(int pacer)
        {
            for (long i = pacer; i < times.LongLength && !cancellationToken.IsCancellationRequested; i += Environment.ProcessorCount)
            {
                while (Stopwatch.GetTimestamp() < Due(i))
                    FineSleep.Microseconds(150);
                _ = CheckAsync(i);
            }
        }

        async Task CheckAsync(long i)
        {
            begun[i] = Stopwatch.GetElapsedTime(Due(i)).TotalMicroseconds;
            var decision = await instance.Limiter.ChargeAsync(charges[i * 7 % Subjects], cancellationToken);
            times[i] = Stopwatch.GetElapsedTime(Due(i)).TotalMicroseconds;
            own[i] = times[i] - begun[i];
            if (isRedis && !decision.Counted)
                Interlocked.Increment(ref missed);
            if (Interlocked.Decrement(ref left) == 0)
                all.SetResult();
        }
    }
}
