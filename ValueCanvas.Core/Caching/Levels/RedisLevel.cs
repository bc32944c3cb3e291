using StackExchange.Redis;
using ValueCanvas.Core.Caching.Keys;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Core.Caching.Levels;

/// <summary>
/// The second level: answers that all instances share, and who of them asks the model. Every method gives up within the timeout.
/// </summary>
internal sealed class RedisLevel(ResponseCacheOptions options, AnswerFormat format, RedisGate gate, IConnectionMultiplexer? redis)
{
    // KEYS: answer, flight. ARGV: who asks, for how many ms, whether the answer there is of no use.
    // Answers: what is kept, who is on the way.
    private static readonly RedisScript Look = new(
        """
        local kept = redis.call('GET', KEYS[1])
        if kept and ARGV[3] == '0' then
            return {kept, ''}
        end
        local holder = redis.call('GET', KEYS[2])
        if not holder then
            redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
        end
        return {kept or '', holder or ''}
        """);

    // KEYS: answer, flight. ARGV: who asked, the answer or nothing, for how many ms.
    private static readonly RedisScript Land = new(
        """
        if ARGV[2] ~= '' then
            redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        end
        if redis.call('GET', KEYS[2]) == ARGV[1] then
            redis.call('DEL', KEYS[2])
        end
        return 1
        """);

    // KEYS: flight. ARGV: who asks, for how many ms.
    private static readonly RedisScript Renewal = new(
        """
        local holder = redis.call('GET', KEYS[1])
        if holder and holder ~= ARGV[1] then
            return 0
        end
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        return 1
        """);

    /// <summary>It is there, and answers in time.</summary>
    public bool IsAsked => redis is not null && !gate.IsOpen;

    /// <summary>
    /// What is kept, and if it is of no use, who asks the model: nobody means that the asker now does. Null: Redis does not say.
    /// </summary>
    public async ValueTask<(CachedAnswer? Answer, FlightName? Holder)?> LookAsync(
        Guid tenantId, CacheKey key, FlightName asker, bool isUseless)
    {
        if (redis is null || gate.IsOpen)
            return null;
        var (answer, flight) = Names(key);
        var (reply, _) = await gate.AskAsync(async () => (RedisResult[]?)await Look.RunAsync(
            redis.GetDatabase(),
            [answer, flight],
            [asker.ToBytes(), (long)options.FlightLease.TotalMilliseconds, isUseless ? "1" : "0"]) ?? []);
        if (reply is not [var kept, var holder])
            return null;
        return (
            (byte[]?)kept is { Length: > 0 } value ? format.Read(value, tenantId, key) : null,
            (byte[]?)holder is { Length: FlightName.Bytes } name && FlightName.Read(name) != asker ? FlightName.Read(name) : null);
    }

    /// <summary>Puts the answer there, if there is one to be kept, and lets others ask again.</summary>
    public async ValueTask LandAsync(CacheKey key, FlightName asker, CachedAnswer? answer)
    {
        if (redis is null || gate.IsOpen)
            return;
        var (name, flight) = Names(key);
        var value = answer is null ? [] : format.Write(answer);
        var lifetime = answer is null ? 1 : (long)(answer.ExpiresAt - answer.CreatedAt + options.MaxStale).TotalMilliseconds;
        await gate.AskAsync(() => Land.RunAsync(redis.GetDatabase(), [name, flight], [asker.ToBytes(), value, lifetime]));
    }

    public async ValueTask RenewAsync(CacheKey key, FlightName asker)
    {
        if (redis is null || gate.IsOpen)
            return;
        await gate.AskAsync(() => Renewal.RunAsync(
            redis.GetDatabase(), [Names(key).Flight], [asker.ToBytes(), (long)options.FlightLease.TotalMilliseconds]));
    }

    /// <summary>True for one of all who ask: the answer of a flight whose payer has left is paid by somebody, once.</summary>
    public async ValueTask<bool> ClaimAsync(Guid flight) => await IsPaidAsync(flight) is false;

    /// <summary>
    /// Whether somebody pays for the answer of that flight; if not, whoever asks does from now on. Null: Redis does not say.
    /// </summary>
    public async ValueTask<bool?> IsPaidAsync(Guid flight)
    {
        if (redis is null)
            return null;
        var (reply, _) = await gate.AskAsync(() => redis.GetDatabase().ExecuteAsync(
            "SET", $"{options.Prefix}:cache:paid:{flight:N}", "1", "NX", "PX", "60000"));
        return reply?.IsNull;
    }

    // One slot, so that a script may use both.
    private (RedisKey Answer, RedisKey Flight) Names(CacheKey key)
    {
        var name = $"{options.Prefix}:cache:{{{key}}}";
        return (name, name + ":flight");
    }
}
