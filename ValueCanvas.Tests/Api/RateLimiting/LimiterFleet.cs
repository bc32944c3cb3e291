using System.Collections.Concurrent;
using System.Diagnostics;
using ValueCanvas.Api.RateLimiting;
using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Tests.Api.RateLimiting;

/// <summary>Several instances that share one Redis.</summary>
internal sealed class LimiterFleet(LimiterInstance[] instances, string prefix) : IAsyncDisposable
{
    public const int Size = 4;
    public const int Clients = 8;

    public LimiterInstance[] Instances => instances;

    public static async Task<LimiterFleet> StartAsync(string redis, RateLimitingOptions options) => new(
        await Task.WhenAll(Enumerable.Range(0, Size).Select(_ => LimiterInstance.StartAsync(redis, options))), options.Prefix);

    public Task UntilAllAsync(bool open) =>
        LimiterInstance.UntilAsync(() => Array.TrueForAll(instances, instance => instance.Gate.IsOpen == open));

    /// <summary>Clients of each instance begin to ask, and go on until they are stopped.</summary>
    public async Task<FleetLoad> LoadAsync(LimitPolicy policy) => new(
        instances, await LimiterInstance.StartAsync(null, new RateLimitingOptions()), LimitTestData.Charge(policy, prefix: prefix));

    public async ValueTask DisposeAsync()
    {
        foreach (var instance in instances)
            await instance.DisposeAsync();
    }
}

/// <summary>Every client asks again soon after its answer; so do clients of one instance more, which has no Redis to wait for.</summary>
internal sealed class FleetLoad
{
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(10);

    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly ConcurrentBag<TimeSpan> _waits = [];
    private readonly ConcurrentBag<TimeSpan> _usual = [];
    private readonly LimiterInstance _alone;
    private readonly Charge _charge;
    private readonly Task _clients;
    private volatile bool _isOver;
    private long _admitted;
    private int _late;

    public FleetLoad(LimiterInstance[] instances, LimiterInstance alone, Charge charge)
    {
        (_alone, _charge) = (alone, charge);
        _clients = Task.WhenAll(
            instances.Append(alone).SelectMany(instance => Enumerable.Range(0, LimiterFleet.Clients).Select(_ => AskAsync(instance))));
    }

    public long Admitted => Volatile.Read(ref _admitted);

    /// <summary>Requests that waited for Redis in vain.</summary>
    public int Late => Volatile.Read(ref _late);

    /// <summary>The load goes on for this long.</summary>
    public static async Task RunAsync(double seconds)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromSeconds(seconds));
        await tick.WaitForNextTickAsync(TestContext.Current.CancellationToken);
    }

    public async Task<FleetResult> StopAsync()
    {
        _isOver = true;
        await _clients;
        await _alone.DisposeAsync();
        return new FleetResult(Admitted, Stopwatch.GetElapsedTime(_started), Percentile(_waits), Percentile(_usual));
    }

    private async Task AskAsync(LimiterInstance instance)
    {
        using var breath = new PeriodicTimer(Breath);
        while (!_isOver)
        {
            var asked = Stopwatch.GetTimestamp();
            // Off this thread, as a request is: so all of them wait for a thread.
            var decision = await Task.Run(() => instance.AskAsync(_charge), TestContext.Current.CancellationToken);
            (ReferenceEquals(instance, _alone) ? _usual : _waits).Add(Stopwatch.GetElapsedTime(asked));
            if (decision.Allowed && !ReferenceEquals(instance, _alone))
                Interlocked.Increment(ref _admitted);
            if (decision.IsLate)
                Interlocked.Increment(ref _late);
            await breath.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    private static TimeSpan Percentile(ConcurrentBag<TimeSpan> waits) => waits.Order().ElementAt(waits.Count - 1 - waits.Count / 100);
}

/// <param name="Admitted">Requests.</param>
/// <param name="Elapsed">From the first question to the last answer.</param>
/// <param name="Wait">99 of 100 answers took no longer.</param>
/// <param name="Usual">The same at the same time where there is no Redis: what the machine itself makes people wait.</param>
internal sealed record FleetResult(long Admitted, TimeSpan Elapsed, TimeSpan Wait, TimeSpan Usual)
{
    private static readonly TimeSpan Added = TimeSpan.FromMilliseconds(50);

    /// <summary>A bucket of one second: nobody has waited for Redis, and no more was admitted than may be while it is away.</summary>
    public void AssertHeld(long perSecond)
    {
        var rate = perSecond * Elapsed.TotalSeconds;
        Assert.InRange(Admitted, (long)(rate / 4), (long)((perSecond + rate) * 1.25));
        // An answer of Redis comes by way of several threads, and a busy machine lets each of them wait.
        Assert.True(Wait - 4 * Usual < Added, $"p99 {Wait}, without Redis {Usual}");
    }
}
