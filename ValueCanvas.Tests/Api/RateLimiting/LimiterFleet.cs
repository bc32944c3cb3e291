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
    public FleetLoad Load(LimitPolicy policy) => new(instances, LimitTestData.Charge(policy, prefix: prefix));

    public async ValueTask DisposeAsync()
    {
        foreach (var instance in instances)
            await instance.DisposeAsync();
    }
}

/// <summary>
/// Every client asks again soon after its answer. Others beside them only wait for a timer, as long as a call to Redis may take.
/// </summary>
internal sealed class FleetLoad
{
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Timeout = new RateLimitingOptions().RedisTimeout;

    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly ConcurrentBag<TimeSpan> _waits = [];
    private readonly ConcurrentBag<TimeSpan> _usual = [];
    private readonly Charge _charge;
    private readonly Task _clients;
    private volatile bool _isOver;
    private long _admitted;
    private int _late;

    public FleetLoad(LimiterInstance[] instances, Charge charge)
    {
        _charge = charge;
        _clients = Task.WhenAll(instances.SelectMany(instance => Enumerable.Range(0, LimiterFleet.Clients).Select(_ => AskAsync(instance)))
            .Concat(Enumerable.Range(0, LimiterFleet.Clients).Select(_ => WaitAsync())));
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
        return new FleetResult(Admitted, Stopwatch.GetElapsedTime(_started), Percentile(_waits), Percentile(_usual));
    }

    private async Task AskAsync(LimiterInstance instance)
    {
        using var breath = new PeriodicTimer(Breath);
        while (!_isOver)
        {
            var asked = Stopwatch.GetTimestamp();
            // Off this thread, as a request is.
            var decision = await Task.Run(() => instance.AskAsync(_charge), TestContext.Current.CancellationToken);
            _waits.Add(Stopwatch.GetElapsedTime(asked));
            if (decision.Allowed)
                Interlocked.Increment(ref _admitted);
            if (decision.IsLate)
                Interlocked.Increment(ref _late);
            await breath.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    private async Task WaitAsync()
    {
        while (!_isOver)
        {
            var asked = Stopwatch.GetTimestamp();
            await Task.Run(() => Task.Delay(Timeout, TimeProvider.System, TestContext.Current.CancellationToken));
            _usual.Add(Stopwatch.GetElapsedTime(asked));
        }
    }

    private static TimeSpan Percentile(ConcurrentBag<TimeSpan> waits) => waits.Order().ElementAt(waits.Count - 1 - waits.Count / 100);
}

/// <param name="Admitted">Requests.</param>
/// <param name="Elapsed">From the first question to the last answer.</param>
/// <param name="Wait">99 of 100 answers took no longer.</param>
/// <param name="Timer">What the machine made of a timer set to Redis' timeout, at the same time.</param>
internal sealed record FleetResult(long Admitted, TimeSpan Elapsed, TimeSpan Wait, TimeSpan Timer)
{
    private static readonly TimeSpan Added = TimeSpan.FromMilliseconds(50);

    /// <summary>A bucket of one second: nobody has waited for Redis, and no more was admitted than may be while it is away.</summary>
    public void AssertHeld(long perSecond)
    {
        var rate = perSecond * Elapsed.TotalSeconds;
        Assert.InRange(Admitted, (long)(rate / 4), (long)((perSecond + rate) * 1.25));
        // 50 ms; on a machine that is busy with other work, where timers are late, accordingly more.
        Assert.True(Wait < Added || Wait < 3 * Timer, $"p99 {Wait}, a timer's {Timer}");
    }
}
