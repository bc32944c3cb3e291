using StackExchange.Redis;

namespace ValueCanvas.Core.Jobs;

/// <summary>
/// The text of running jobs in Redis, some milliseconds old, for those who watch. It can be lost at any time: the checkpoint in PostgreSQL
/// has the same text, up to a second older. Nothing here waits longer than its bound or throws for Redis' sake.
/// </summary>
public sealed class LiveText(TimeProvider time, IConnectionMultiplexer? redis = null)
{
    private static readonly TimeSpan Bound = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan PauseAfterTimeout = TimeSpan.FromSeconds(1);

    // A worker that lost its job writes under its own lease, which nobody reads any more. -1: what is there is not what came before.
    private const string AppendScript =
        """
        if tonumber(redis.call('HGET', KEYS[1], 'lease') or '0') > tonumber(ARGV[1]) then return -2 end
        redis.call('HSET', KEYS[1], 'lease', ARGV[1], 'bases', ARGV[2])
        redis.call('EXPIRE', KEYS[1], 900)
        if ARGV[3] == '0' then
            redis.call('SET', KEYS[2], ARGV[4])
        elseif redis.call('STRLEN', KEYS[2]) ~= tonumber(ARGV[3]) then
            return -1
        else
            redis.call('APPEND', KEYS[2], ARGV[4])
        end
        redis.call('EXPIRE', KEYS[2], 900)
        return redis.call('STRLEN', KEYS[2])
        """;

    private const string ReadScript =
        """
        local head = redis.call('HMGET', KEYS[1], 'lease', 'bases')
        if not head[1] then return {} end
        return {head[1], head[2] or '', redis.call('GET', ARGV[1] .. head[1]) or ''}
        """;

    private long _pausedUntil;

    /// <summary>Adds what has come since <paramref name="offset"/>; all of it with offset 0. False: send all of it again, later.</summary>
    public async Task<bool> AppendAsync(Guid jobId, long lease, IReadOnlyList<JobTextBase> bases, int offset, byte[] bytes)
    {
        var known = string.Join(',', bases.Select(item => $"{item.Lease}:{item.Bytes}"));
        var result = await CallAsync(
            AppendScript, [Head(jobId), Text(jobId) + lease.ToString(System.Globalization.CultureInfo.InvariantCulture)],
            [lease, known, offset, bytes]);
        return result is { } length && (long)length >= 0;
    }

    /// <summary>What there is of the job's newest attempt; null where Redis has nothing, or is away.</summary>
    public async Task<(JobTextPosition End, IReadOnlyList<JobTextBase> Bases, byte[] Text)?> ReadAsync(Guid jobId)
    {
        if (await CallAsync(ReadScript, [Head(jobId)], [Text(jobId)]) is not { } result
            || (RedisResult[]?)result is not [var lease, var known, var text])
        {
            return null;
        }

        List<JobTextBase> bases = [];
        foreach (var item in ((string?)known ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            if (item.Split(':') is not [var l, var b] || !long.TryParse(l, out var ofLease) || !int.TryParse(b, out var count))
                return null;
            bases.Add(new(ofLease, count));
        }

        var bytes = (byte[]?)text ?? [];
        return (new((long)lease, bytes.Length), bases, bytes);
    }

    private static string Head(Guid jobId) => $"valuecanvas:job:{{{jobId}}}:head";

    private static string Text(Guid jobId) => $"valuecanvas:job:{{{jobId}}}:text:";

    private async Task<RedisResult?> CallAsync(string script, RedisKey[] keys, RedisValue[] values)
    {
        if (redis is not { IsConnected: true } || time.GetTimestamp() < Volatile.Read(ref _pausedUntil))
            return null;
        try
        {
            return await redis.GetDatabase().ScriptEvaluateAsync(script, keys, values).WaitAsync(Bound, time);
        }
        catch (TimeoutException)
        {
            Volatile.Write(ref _pausedUntil, time.GetTimestamp() + (long)(PauseAfterTimeout.TotalSeconds * time.TimestampFrequency));
            return null;
        }
        catch (RedisException)
        {
            return null;
        }
    }
}
