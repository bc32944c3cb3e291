using Npgsql;
using StackExchange.Redis;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Core.Jobs;

/// <summary>
/// A hint through Redis that a job is ready, so that a worker which has room need not wait for its next poll. One of them is told, not all:
/// they would all ask the database for the same job. Never more than a hint: it may be lost, and nothing waits for Redis longer than the
/// bounds here.
/// </summary>
public sealed class JobSignal : IDisposable
{
    // Everybody hears this: workers of an older version, and all while Redis does not know who has room.
    private const string ChannelName = "valuecanvas:jobs:ready";
    private static readonly TimeSpan PublishBound = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan SubscribeBound = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PauseAfterTimeout = TimeSpan.FromSeconds(1);

    // Who has not said for so long (ms) that it has room may be gone, or frozen.
    private const int OfferLasts = 3_000;

    // Hints that follow each other so soon (ms) go to the same worker, whose next claim takes all of their jobs.
    private const int Together = 10;

    private static readonly RedisScript Tell = new(
        """
        local now = redis.call('TIME')
        local told = redis.call('GET', KEYS[2])
        if told and told ~= ARGV[2] and redis.call('PUBLISH', ARGV[1] .. told, '') > 0 then return 1 end
        local free = redis.call('ZRANGEBYSCORE', KEYS[1], now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[3], '+inf')
        local unheard = redis.call('EXISTS', KEYS[3]) == 0
        for i = 1, #free do
            -- Any of them to begin with: microseconds are as good as dice.
            local worker = free[(now[2] + i) % #free + 1]
            if worker ~= ARGV[2] then
                if redis.call('PUBLISH', ARGV[1] .. worker, '') > 0 then
                    redis.call('SET', KEYS[2], worker, 'PX', ARGV[4])
                    return 1
                end
                redis.call('ZREM', KEYS[1], worker)
                unheard = true
            end
        end
        -- Where all are busy nobody need be told: each looks again when it has room.
        if unheard then redis.call('PUBLISH', ARGV[5], '') end
        return 0
        """);

    private static readonly RedisScript Offer = new(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        if ARGV[2] == '1' then
            redis.call('ZADD', KEYS[1], now, ARGV[1])
            redis.call('PEXPIRE', KEYS[1], 10 * ARGV[3])
        else
            redis.call('ZREM', KEYS[1], ARGV[1])
            if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
        end
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
        redis.call('SET', KEYS[3], '1', 'PX', ARGV[3])
        return 1
        """);

    private readonly string _id = Guid.NewGuid().ToString("N");
    private readonly IConnectionMultiplexer? _redis;
    private readonly TimeProvider _time;
    private readonly string _prefix;
    private readonly RedisKey[] _keys;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _offering = new(1);
    private Task _sending = Task.CompletedTask;
    private Task? _next;
    private Task _offered = Task.CompletedTask;
    private long _offeredAt;
    private long _pausedUntil;

    /// <param name="time">For the bounds.</param>
    /// <param name="redis">Null where Redis is switched off: then there are no hints.</param>
    /// <param name="database">By its name those find each other who work on the same queue, also where several share one Redis.</param>
    public JobSignal(TimeProvider time, IConnectionMultiplexer? redis = null, NpgsqlDataSource? database = null)
    {
        _redis = redis;
        _time = time;
        var name = database is null ? null : new NpgsqlConnectionStringBuilder(database.ConnectionString).Database;
        _prefix = $"valuecanvas:jobs:{{{name}}}:";
        _keys = [$"{_prefix}room", $"{_prefix}told", $"{_prefix}present"];
    }

    private bool CanAsk => _redis is { IsConnected: true } && _time.GetTimestamp() >= Volatile.Read(ref _pausedUntil);

    /// <summary>Tells a worker that there may be work. Call it after the commit. Never throws for Redis' sake.</summary>
    public Task PublishAsync()
    {
        // A server that did not answer just now is left alone for a second, so that callers do not all wait for it.
        if (!CanAsk)
            return Task.CompletedTask;
        lock (_gate)
        {
            // Those who come while a call is on its way need one more, together.
            return _sending.IsCompleted ? _sending = TellAsync("") : _next ??= TellAfterAsync(_sending);
        }
    }

    /// <summary>As <see cref="PublishAsync"/>, by a worker that has no room for what there may be: to another one.</summary>
    public Task PassOnAsync() => CanAsk ? TellAsync(_id) : Task.CompletedTask;

    /// <summary>
    /// Calls <paramref name="onReady"/> for every hint, from a thread of the Redis client: it must not block. When Redis is away, the
    /// client remembers the subscription and makes it when it connects. Before <see cref="OfferAsync"/> hints go to others.
    /// </summary>
    public async Task SubscribeAsync(Action onReady, CancellationToken cancellationToken)
    {
        if (_redis is null)
            return;

        foreach (var channel in new[] { ChannelName, _prefix + _id })
        {
            try
            {
                await _redis.GetSubscriber()
                    .SubscribeAsync(new RedisChannel(channel, RedisChannel.PatternMode.Literal), (_, _) => onReady())
                    .WaitAsync(SubscribeBound, _time, cancellationToken);
            }
            catch (Exception exception) when (exception is TimeoutException or RedisException)
            {
                // Remembered, see above.
            }
        }
    }

    /// <summary>
    /// Says that this process has room for jobs, or has none; to be repeated at least every second.
    /// </summary>
    /// <returns>Whether hints can be expected, found out within <paramref name="bound"/>.</returns>
    public async Task<bool> OfferAsync(bool room, TimeSpan bound, CancellationToken cancellationToken)
    {
        if (_redis is not { IsConnected: true } || !await _offering.WaitAsync(bound, cancellationToken))
            return false;

        try
        {
            // One after the other, so that the last word counts. One that is unanswered is waited for, not asked again, for a while.
            if (!_offered.IsCompleted && _time.GetElapsedTime(_offeredAt) < 10 * bound)
                await _offered.WaitAsync(bound, _time, cancellationToken);
            _offeredAt = _time.GetTimestamp();
            _offered = Offer.RunAsync(_redis.GetDatabase(), _keys, [_id, room ? "1" : "0", OfferLasts]);
            await _offered.WaitAsync(bound, _time, cancellationToken);
            return true;
        }
        catch (Exception exception) when (exception is TimeoutException or RedisException)
        {
            return false;
        }
        finally
        {
            _offering.Release();
        }
    }

    public void Dispose() => _offering.Dispose();

    private async Task TellAfterAsync(Task before)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Task sending;
        lock (_gate)
        {
            _next = null;
            sending = _sending = TellAsync("");
        }

        await sending;
    }

    private async Task TellAsync(string butNot)
    {
        try
        {
            await Tell.RunAsync(_redis!.GetDatabase(), _keys, [_prefix, butNot, OfferLasts, Together, ChannelName])
                .WaitAsync(PublishBound, _time);
        }
        catch (TimeoutException)
        {
            var pause = (long)(PauseAfterTimeout.TotalSeconds * _time.TimestampFrequency);
            Volatile.Write(ref _pausedUntil, _time.GetTimestamp() + pause);
        }
        catch (Exception exception) when (exception is RedisException or RedisCommandException or ObjectDisposedException)
        {
            // Workers poll.
        }
    }
}
