using Microsoft.Extensions.Options;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>
/// Tells Redis every second that this instance lives and learns how many do; renews what running requests hold; finds out when Redis, which
/// was away or slow, is back, and settles there what has ended meanwhile.
/// </summary>
internal sealed class RedisHeart(
    RedisGate gate, LocalLimiter local, LeaseKeeper leases, IOptions<RateLimitingOptions> options, TimeProvider time,
    IConnectionMultiplexer? redis = null)
    : BackgroundService
{
    private const int LifetimeInBeats = 5;
    private const int MostAtOnce = 1000;

    private readonly string _instance = Guid.NewGuid().ToString("N");
    private int _instances;
    private Task<long[]>? _pending;
    private long _renewedAt;

    /// <summary>How many share the limits when Redis is away: those that it knew last, and never fewer than configured.</summary>
    public int Instances => Math.Max(options.Value.MinInstances, Math.Max(1, Volatile.Read(ref _instances)));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (redis is null)
            return;
        local.Expect();
        try
        {
            while (true)
            {
                await BeatAsync(redis);
                await SettleAsync(redis);
                await RenewAsync(redis);
                await Task.Delay(gate.IsOpen ? options.Value.Heartbeat / 4 : options.Value.Heartbeat, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await gate.AskAsync(() => CallAsync(redis, lifetime: 0));
        }
    }

    private async Task BeatAsync(IConnectionMultiplexer connection)
    {
        // A frozen server would collect them: one is under way at a time.
        if (_pending is { IsCompleted: false } || !connection.IsConnected)
            return;
        var answer = await gate.ProbeAsync(() => _pending = HearAsync(CallAsync(connection, Lifetime)));
        if (answer is [var count, ..])
            Volatile.Write(ref _instances, (int)count);
    }

    // Also when it is late: it lives.
    private async Task<long[]> HearAsync(Task<long[]> calling)
    {
        var answer = await calling;
        local.Hear();
        return answer;
    }

    // What ended while Redis was away.
    private async Task SettleAsync(IConnectionMultiplexer connection)
    {
        for (var i = 0; i < MostAtOnce && !gate.IsOpen && leases.TryTakeOwed(out var owed); i++)
            await gate.AskAsync(() => leases.SettleAsync(connection.GetDatabase(), owed.Decision, owed.Tokens));
    }

    private async Task RenewAsync(IConnectionMultiplexer connection)
    {
        if (gate.IsOpen || leases.Count == 0 || time.GetElapsedTime(_renewedAt) < options.Value.LeaseLifetime / 3)
            return;
        _renewedAt = time.GetTimestamp();
        foreach (var renewal in leases.Renewals(connection.GetDatabase()))
        {
            if ((await gate.AskAsync(renewal)).Answer is null)
                return;
        }
    }

    private long Lifetime => (long)(options.Value.Heartbeat * LifetimeInBeats).TotalMicroseconds;

    private Task<long[]> CallAsync(IConnectionMultiplexer connection, long lifetime) => RedisScript.Heartbeat.RunAsync(
        connection.GetDatabase(),
        [KeyNames.Clock(options.Value.Prefix), KeyNames.Instances(options.Value.Prefix)],
        [_instance, lifetime]);
}
