using Microsoft.Extensions.Hosting;
using StackExchange.Redis;
using ValueCanvas.Core.Caching.Flights;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Core.Caching.Levels;

/// <summary>Finds out when Redis, which was away or slow, answers again; and says of the flights of this instance that they live.</summary>
internal sealed class RedisPulse(
    ResponseCacheOptions options, RedisGate gate, RedisLevel level, FlightDirectory flights,
    TimeProvider time, IConnectionMultiplexer? redis)
    : BackgroundService
{
    private static readonly TimeSpan WhileAway = TimeSpan.FromMilliseconds(250);

    private Task<RedisResult>? _pending;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (redis is null)
            return;
        try
        {
            while (true)
            {
                // A frozen server would collect them: one is under way at a time.
                if (_pending is not { IsCompleted: false } && redis.IsConnected)
                    await gate.ProbeAsync(() => _pending = redis.GetDatabase().ExecuteAsync("PING"));
                foreach (var flight in flights.Held)
                    await level.RenewAsync(flight.Key, flights.NameOf(flight));
                await Task.Delay(gate.IsOpen ? WhileAway : options.FlightLease / 3, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }
}
