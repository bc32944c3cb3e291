using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace ValueCanvas.Core.Usage.Budgets;

/// <summary>
/// What all instances together have spent and hold of a budget, in one hash and one sorted set of reservations with their
/// lifetimes. Spent is what PostgreSQL had said when the hash was made (<c>base</c>) and what was settled since (<c>spent</c>), or
/// what PostgreSQL said last (<c>stored</c>) where that is more. A row is committed before its call is settled, so a reservation
/// that is not known here any more, because Redis lost it, stands in the base already. All of it can be rebuilt; a server that does
/// not answer in time is left alone for a second.
/// </summary>
internal sealed class BudgetRedis(IOptions<UsageOptions> options, TimeProvider time, IConnectionMultiplexer? redis = null)
{
    private const long Unknown = -1;
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private long _pausedUntil = long.MinValue;

    private const string Total =
        """
        local function total(sums)
            local kept = redis.call('HMGET', sums, 'base', 'spent', 'stored')
            if not kept[1] then
                return -1
            end
            return math.max(tonumber(kept[1]) + tonumber(kept[2] or '0'), tonumber(kept[3] or '0'))
        end

        """;

    // Checks all budgets, then holds of all of them or of none. A reservation whose time is over is given back first.
    private const string ReserveScript = Total +
        """
        local clock = redis.call('TIME')
        local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
        local count = #KEYS / 2
        for i = 1, count do
            local sums, held = KEYS[2 * i - 1], KEYS[2 * i]
            if redis.call('HEXISTS', sums, 'base') == 0 then
                return {-1, i - 1}
            end
            for _, late in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', now, 'LIMIT', 0, 100)) do
                redis.call('ZREM', held, late)
                redis.call('HINCRBY', sums, 'held', '-' .. string.match(late, '|(%d+)$'))
            end
        end
        for i = 1, count do
            local sums = KEYS[2 * i - 1]
            local spent = total(sums)
            local holds = tonumber(redis.call('HGET', sums, 'held') or '0')
            if spent + holds + tonumber(ARGV[1 + 2 * i]) > tonumber(ARGV[2 + 2 * i]) then
                return {0, i - 1, spent, holds}
            end
        end
        for i = 1, count do
            redis.call('HINCRBY', KEYS[2 * i - 1], 'held', ARGV[1 + 2 * i])
            redis.call('ZADD', KEYS[2 * i], now + tonumber(ARGV[2]), ARGV[1] .. '|' .. ARGV[1 + 2 * i])
            local ttl = redis.call('PTTL', KEYS[2 * i - 1])
            if ttl > 0 then
                redis.call('PEXPIRE', KEYS[2 * i], ttl)
            end
        end
        return {1}
        """;

    private const string SettleScript = Total +
        """
        local told = {}
        for i = 1, #KEYS / 2 do
            local sums = KEYS[2 * i - 1]
            if redis.call('ZREM', KEYS[2 * i], ARGV[1] .. '|' .. ARGV[1 + i]) == 1 then
                redis.call('HINCRBY', sums, 'held', '-' .. ARGV[1 + i])
                redis.call('HINCRBY', sums, 'spent', ARGV[2 + #KEYS / 2])
            end
            told[i] = total(sums)
        end
        return told
        """;

    // What PostgreSQL knows is never too much.
    private const string SeedScript = Total +
        """
        redis.call('HSETNX', KEYS[1], 'base', ARGV[1])
        local stored = redis.call('HGET', KEYS[1], 'stored')
        if not stored or tonumber(stored) < tonumber(ARGV[1]) then
            redis.call('HSET', KEYS[1], 'stored', ARGV[1])
        end
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        return {total(KEYS[1])}
        """;

    // KEYS: what instances hold. ARGV: who tells, for how many ms it counts, then budgets and amounts. Answers those of all others.
    private const string TellScript =
        """
        local clock = redis.call('TIME')
        local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
        redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now) .. table.concat(ARGV, ' ', 3))
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        local told, all = {}, redis.call('HGETALL', KEYS[1])
        for i = 1, #all, 2 do
            local at, holds = string.match(all[i + 1], '^(%d+) (.*)$')
            if not at or math.abs(now - at) > tonumber(ARGV[2]) then
                redis.call('HDEL', KEYS[1], all[i])
            elseif all[i] ~= ARGV[1] then
                for part in string.gmatch(holds, '%S+') do
                    told[#told + 1] = part
                end
            end
        end
        return told
        """;

    /// <summary>There is none for instances to share: each counts for itself.</summary>
    public bool IsAbsent => redis is null;

    /// <summary>Null where Redis did not answer.</summary>
    public async ValueTask<RedisAnswer?> ReserveAsync(Reservation reservation)
    {
        var values = new List<RedisValue>
        {
            reservation.Id.ToString("N"), (long)options.Value.Budgets.Lease.TotalMilliseconds,
        };
        foreach (var (account, nanos) in reservation.Parts)
        {
            values.Add(nanos);
            values.Add(account.Limit);
        }

        // One that comes too late is held for nobody: the call went on without it.
        return await AskAsync(ReserveScript, Keys(reservation), [.. values], late => Release(reservation, late)) switch
        {
            null => null,
            [1, ..] => new(RedisVerdict.Held, 0, 0, 0),
            [Unknown, var which] => new(RedisVerdict.Unknown, (int)which, 0, 0),
            [_, var which, var spent, var held] => new(RedisVerdict.Refused, (int)which, spent, held),
            _ => null,
        };
    }

    /// <summary>What was spent of each budget, -1 where it is not known there; null where Redis did not answer.</summary>
    public ValueTask<long[]?> SettleAsync(Reservation reservation, long spent) =>
        AskAsync(SettleScript, Keys(reservation), Settlement(reservation, spent));

    /// <summary>Tells what PostgreSQL knows; false where Redis did not answer.</summary>
    public async ValueTask<bool> SeedAsync(BudgetAccount account, long stored)
    {
        var life = account.End is { } end ? end - time.GetUtcNow() + TimeSpan.FromHours(1) : TimeSpan.FromDays(7);
        if (await AskAsync(SeedScript, [account.Name.Key], [stored, (long)life.TotalMilliseconds]) is not [var spent])
            return false;
        account.Heard(spent);
        return true;
    }

    /// <summary>
    /// Tells what this instance holds, and says what all others hold, by the number of the account; null where Redis did not answer.
    /// </summary>
    /// <param name="instance">Who tells.</param>
    /// <param name="holds">Those of which something is held.</param>
    /// <param name="lifetime">So long it counts if nothing else is told.</param>
    public async ValueTask<IReadOnlyDictionary<long, long>?> TellAsync(
        Guid instance, IEnumerable<(AccountName Account, long Nanos)> holds, TimeSpan lifetime)
    {
        RedisValue[] values =
        [
            instance.ToString("N"), (long)lifetime.TotalMilliseconds,
            .. holds.SelectMany(hold => new RedisValue[] { hold.Account.Number, hold.Nanos }),
        ];
        if (await AskAsync(TellScript, ["valuecanvas:spent:held"], values) is not { } told)
            return null;
        return told.Chunk(2).GroupBy(hold => hold[0], hold => hold[1]).ToDictionary(holds => holds.Key, holds => holds.Sum());
    }

    private static RedisValue[] Settlement(Reservation reservation, long spent) =>
        [reservation.Id.ToString("N"), .. reservation.Parts.Select(part => (RedisValue)part.Nanos), spent];

    private void Release(Reservation reservation, long[]? late)
    {
        if (late is [1, ..])
            Forget(redis!.GetDatabase().ScriptEvaluateAsync(SettleScript, Keys(reservation), Settlement(reservation, spent: 0)));
    }

    // Nobody waits for it; if it fails, Redis has forgotten or forgets what it was about.
    private static void Forget(Task call) => _ = call.ContinueWith(
        static done => done.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);

    private static RedisKey[] Keys(Reservation reservation) =>
        [.. reservation.Parts.SelectMany(part => new RedisKey[] { part.Account.Name.Key, part.Account.Name.Key + ":held" })];

    private async ValueTask<long[]?> AskAsync(string script, RedisKey[] keys, RedisValue[] values, Action<long[]?>? late = null)
    {
        if (redis is not { IsConnected: true } || time.GetTimestamp() < Volatile.Read(ref _pausedUntil))
            return null;
        Task<RedisResult>? asked = null;
        try
        {
            asked = redis.GetDatabase().ScriptEvaluateAsync(script, keys, values);
            return (long[]?)await asked.WaitAsync(options.Value.Budgets.RedisTimeout, time);
        }
        catch (Exception exception) when (
            exception is TimeoutException or RedisException or RedisCommandException or ObjectDisposedException)
        {
            Volatile.Write(ref _pausedUntil, time.GetTimestamp() + (long)(Pause.TotalSeconds * time.TimestampFrequency));
            if (asked is not null)
                Forget(LateAsync(asked, late));
            return null;
        }
    }

    private static async Task LateAsync(Task<RedisResult> asked, Action<long[]?>? late)
    {
        var answer = (long[]?)await asked;
        late?.Invoke(answer);
    }
}

internal enum RedisVerdict
{
    Held,
    Refused,

    /// <summary>Redis does not know what was spent.</summary>
    Unknown,
}

/// <param name="Verdict">On all of the budgets.</param>
/// <param name="Which">Of them it is about.</param>
/// <param name="Spent">Of that one.</param>
/// <param name="Held">Of that one, for other calls.</param>
internal readonly record struct RedisAnswer(RedisVerdict Verdict, int Which, long Spent, long Held);
