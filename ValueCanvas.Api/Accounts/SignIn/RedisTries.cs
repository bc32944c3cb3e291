using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace ValueCanvas.Api.Accounts.SignIn;

/// <summary>Tries counted for all instances together, by Redis' clock. A Redis that does not answer is left alone for a second.</summary>
internal sealed class RedisTries(TimeProvider time, IOptions<GuardOptions> options, IConnectionMultiplexer? redis = null)
{
    // One slot, so that a script may use them together.
    private const string Prefix = "valuecanvas:{sign-in}:";

    // KEYS: the pair, then the windows. ARGV: the free tries, the first and the longest wait, the pair's memory; then for each window its
    // limit (-1: it refuses nobody) and its length; times in ms. Answers the wait, 0 where the try is counted.
    private const string Begin =
        """
        local t = redis.call('TIME')
        local now = t[1] * 1000 + math.floor(t[2] / 1000)
        local pair = redis.call('HMGET', KEYS[1], 'n', 'at')
        local n, at = tonumber(pair[1]) or 0, tonumber(pair[2]) or 0
        local free, first, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        local wait = 0
        if n >= free then
            wait = at + math.min(most, first * 2 ^ math.min(n - free, 30)) - now
        end
        for i = 2, #KEYS do
            local limit = tonumber(ARGV[3 + (i - 1) * 2])
            if limit >= 0 and (tonumber(redis.call('GET', KEYS[i])) or 0) >= limit then
                wait = math.max(wait, redis.call('PTTL', KEYS[i]))
            end
        end
        if wait > 0 then
            return math.ceil(wait)
        end
        redis.call('HSET', KEYS[1], 'n', n + 1, 'at', string.format('%.0f', now))
        redis.call('PEXPIRE', KEYS[1], ARGV[4])
        for i = 2, #KEYS do
            if redis.call('INCR', KEYS[i]) == 1 then
                redis.call('PEXPIRE', KEYS[i], ARGV[4 + (i - 1) * 2])
            end
        end
        return 0
        """;

    private const string TakeBack =
        """
        redis.call('DEL', KEYS[1])
        for i = 2, #KEYS do
            if (tonumber(redis.call('GET', KEYS[i])) or 0) > 0 then
                redis.call('DECR', KEYS[i])
            end
        end
        return 0
        """;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private long _pausedUntil;

    /// <summary>The wait, as <see cref="LocalTries.Begin"/>; null where Redis does not say.</summary>
    public async Task<TimeSpan?> BeginAsync(Tries tries)
    {
        RedisValue[] arguments =
        [
            tries.FreeTries, Milliseconds(tries.First), Milliseconds(tries.Most), Milliseconds(tries.Memory),
            .. tries.Windows.SelectMany(window => new RedisValue[] { window.Binds ? window.Limit : -1, Milliseconds(window.Length) }),
        ];
        return await RunAsync(Begin, tries, arguments) is { } wait ? TimeSpan.FromMilliseconds(wait) : null;
    }

    /// <summary>False where Redis does not say.</summary>
    public async Task<bool> TakeBackAsync(Tries tries) => await RunAsync(TakeBack, tries, []) is not null;

    private async Task<long?> RunAsync(string script, Tries tries, RedisValue[] arguments)
    {
        if (redis is not { IsConnected: true } || time.GetTimestamp() < Volatile.Read(ref _pausedUntil))
            return null;
        RedisKey[] keys = [Prefix + tries.Pair, .. tries.Windows.Select(window => (RedisKey)(Prefix + window.Key))];
        try
        {
            return (long)await redis.GetDatabase().ScriptEvaluateAsync(script, keys, arguments).WaitAsync(options.Value.RedisTimeout, time);
        }
        catch (Exception exception) when (exception is TimeoutException or RedisException)
        {
            Volatile.Write(ref _pausedUntil, time.GetTimestamp() + (long)(Pause.TotalSeconds * time.TimestampFrequency));
            return null;
        }
    }

    private static long Milliseconds(TimeSpan span) => (long)span.TotalMilliseconds;
}
