using StackExchange.Redis;
using ValueCanvas.Core.Health;

namespace ValueCanvas.Core.Jobs;

/// <summary>
/// A hint through Redis that a job is ready, so that an idle worker need not wait for its next poll. Never more than a hint: it may
/// be lost, and nothing waits for Redis longer than the bounds here.
/// </summary>
public sealed class JobSignal
{
    private const string ChannelName = "valuecanvas:jobs:ready";
    private static readonly TimeSpan PublishBound = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan SubscribeBound = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PauseAfterTimeout = TimeSpan.FromSeconds(1);

    private readonly IConnectionMultiplexer? _redis;
    private readonly TimeProvider _time;
    private readonly BoundedProbe? _probe;
    private readonly RedisChannel _channel = new(ChannelName, RedisChannel.PatternMode.Literal);
    private long _pausedUntil;

    /// <param name="time">For the bounds.</param>
    /// <param name="redis">Null where Redis is switched off: then there are no hints.</param>
    public JobSignal(TimeProvider time, IConnectionMultiplexer? redis = null)
    {
        _redis = redis;
        _time = time;
        _probe = redis is null ? null : new BoundedProbe(_ => redis.GetDatabase().PingAsync(), TimeSpan.FromMilliseconds(500), time);
    }

    /// <summary>Tells workers that there may be work. Call it after the commit. Never throws for Redis' sake.</summary>
    public async Task PublishAsync()
    {
        // A server that did not answer just now is left alone for a second, so that callers do not all wait for it.
        if (_redis is not { IsConnected: true } || _time.GetTimestamp() < Volatile.Read(ref _pausedUntil))
            return;

        try
        {
            await _redis.GetSubscriber().PublishAsync(_channel, RedisValue.EmptyString).WaitAsync(PublishBound, _time);
        }
        catch (TimeoutException)
        {
            var pause = (long)(PauseAfterTimeout.TotalSeconds * _time.TimestampFrequency);
            Volatile.Write(ref _pausedUntil, _time.GetTimestamp() + pause);
        }
        catch (RedisException)
        {
            // Workers poll.
        }
    }

    /// <summary>
    /// Calls <paramref name="onReady"/> for every hint, from a thread of the Redis client: it must not block. When Redis is away, the
    /// client remembers the subscription and makes it when it connects.
    /// </summary>
    public async Task SubscribeAsync(Action onReady, CancellationToken cancellationToken)
    {
        if (_redis is null)
            return;

        try
        {
            await _redis.GetSubscriber().SubscribeAsync(_channel, (_, _) => onReady()).WaitAsync(SubscribeBound, _time, cancellationToken);
        }
        catch (Exception exception) when (exception is TimeoutException or RedisException)
        {
            // Remembered, see above.
        }
    }

    /// <summary>Whether hints can be expected, found out within 500 ms.</summary>
    public async Task<bool> IsAvailableAsync(CancellationToken cancellationToken)
    {
        if (_probe is null || _redis is not { IsConnected: true })
            return false;

        try
        {
            await _probe.RunAsync(cancellationToken);
            return true;
        }
        catch (Exception exception) when (exception is TimeoutException or RedisException)
        {
            return false;
        }
    }
}
