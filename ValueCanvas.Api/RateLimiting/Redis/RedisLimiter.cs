using System.Globalization;
using Microsoft.Extensions.Options;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>The counts of all instances together. Every method gives up within the timeout; null or false says that Redis did not do it.</summary>
/// <remarks>
/// All keys have one hash tag, and so one slot of a Redis cluster: a request is charged to all of its policies or none, the global ones
/// among them, which one script can do in one slot alone.
/// </remarks>
internal sealed class RedisLimiter
{
    private const int ArgumentsOfACharge = 9;
    private const int NumbersOfAReading = 7;

    private readonly IConnectionMultiplexer? _redis;
    private readonly RedisGate _gate;
    private readonly LocalLimiter _local;
    private readonly LeaseKeeper _leases;
    private readonly RedisKey _clock;
    private readonly long _lifetime;
    private long _epoch;

    public RedisLimiter(
        RedisGate gate, LocalLimiter local, LeaseKeeper leases, IOptions<RateLimitingOptions> options, IConnectionMultiplexer? redis = null)
    {
        (_redis, _gate, _local, _leases) = (redis, gate, local, leases);
        _clock = KeyNames.Clock(options.Value.Prefix);
        _lifetime = (long)options.Value.LeaseLifetime.TotalMicroseconds;
    }

    /// <summary>False where Redis is switched off.</summary>
    public bool Exists => _redis is not null;

    /// <summary>It is asked: an answer that does not come is late, not away.</summary>
    public bool IsAsked => _redis is not null && !_gate.IsOpen;

    public async ValueTask<LimitDecision?> ChargeAsync(IReadOnlyList<Charge> charges, string id)
    {
        if (_gate.IsOpen || _redis is null)
            return null;
        var (keys, values) = Question(charges, id);
        var answer = await _gate.AskAsync(
            () => RedisScript.Charge.RunAsync(_redis.GetDatabase(), keys, values),
            late => UndoAsync(Decide(charges, late, id)));
        if (answer is null)
            return null;

        var decision = Decide(charges, answer, id);
        Volatile.Write(ref _epoch, decision.Epoch);
        for (var i = 0; i < charges.Count; i++)
        {
            var admitted = decision.Allowed && !decision.Readings[i].Denied;
            var level = answer[4 + i * NumbersOfAReading + 4];
            var at = 2 + i * ArgumentsOfACharge;
            var told = ((long)values[at + 7], (long)values[at + 8]);
            _local.Follow(charges[i], level, decision.Readings[i].Reset, decision.Epoch, told, admitted ? id : null);
        }

        if (decision.Allowed)
            _leases.Begin(decision);
        return decision;
    }

    public async ValueTask<bool> SettleAsync(LimitDecision decision, long tokens)
    {
        _leases.End(decision);
        return _redis is not null && await _gate.AskAsync(() => SettleAsync(_redis, decision, tokens)) is not null;
    }

    // Redis did it after all, when the request had been decided without it.
    private Task UndoAsync(LimitDecision decision) => decision.Allowed ? SettleAsync(_redis!, decision, tokens: 0) : Task.CompletedTask;

    private Task<long[]> SettleAsync(IConnectionMultiplexer redis, LimitDecision decision, long tokens)
    {
        List<RedisKey> keys = [_clock];
        List<RedisValue> values = [decision.Id, decision.Epoch];
        foreach (var reading in decision.Readings.Where(NeedsSettling))
        {
            var charge = reading.Charge;
            keys.AddRange([charge.Key, charge.Policy.IsReclaimable ? KeyNames.Records(charge.Key) : charge.Key]);
            var used = charge.Policy.Unit == LimitUnit.Tokens ? tokens : charge.Cost;
            values.AddRange(
            [
                Letter(charge.Policy.Algorithm), charge.Limit, charge.Policy.WindowMicros, charge.Cost, used, reading.Place, reading.Refunds,
                charge.Policy.IsReclaimable ? 2 : 0,
            ]);
        }

        return keys.Count == 1
            ? Task.FromResult(Array.Empty<long>())
            : RedisScript.Settle.RunAsync(redis.GetDatabase(), [.. keys], [.. values]);
    }

    public static bool NeedsSettling(Reading reading) => !reading.Denied
        && (reading.Charge.Policy.Algorithm == LimitAlgorithm.Concurrency || reading.Charge.Policy.Unit == LimitUnit.Tokens);

    private (RedisKey[] Keys, RedisValue[] Values) Question(IReadOnlyList<Charge> charges, string id)
    {
        var reclaimable = 0;
        foreach (var charge in charges)
            reclaimable += charge.Policy.IsReclaimable ? 1 : 0;
        var keys = new RedisKey[1 + charges.Count + reclaimable];
        var values = new RedisValue[2 + charges.Count * ArgumentsOfACharge];
        keys[0] = _clock;
        (values[0], values[1]) = (charges.Count, id);
        var epoch = Volatile.Read(ref _epoch);
        for (int i = 0, at = 2, extra = 1 + charges.Count; i < charges.Count; i++)
        {
            var charge = charges[i];
            var policy = charge.Policy;
            keys[i + 1] = charge.Key;
            if (policy.IsReclaimable)
                keys[extra++] = KeyNames.Records(charge.Key);
            values[at++] = Letter(policy.Algorithm);
            values[at++] = charge.Limit;
            values[at++] = policy.WindowMicros;
            values[at++] = charge.BurstMicros;
            values[at++] = charge.Cost;
            values[at++] = (policy.Shadow ? 1 : 0) + (policy.IsReclaimable ? 2 : 0);
            values[at++] = _lifetime;
            var (level, owed) = _local.ToTell(charge, epoch);
            values[at++] = level;
            values[at++] = owed;
        }

        return (keys, values);
    }

    private static LimitDecision Decide(IReadOnlyList<Charge> charges, long[] answer, string id)
    {
        var readings = new Reading[charges.Count];
        for (int i = 0, at = 4; i < readings.Length; i++, at += NumbersOfAReading)
            readings[i] = new(charges[i], answer[at] == 1, answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 5], answer[at + 6]);
        return new LimitDecision(id, readings, answer[0] == 1 ? (int)answer[1] - 1 : -1, counted: true, answer[3]);
    }

    private static RedisValue Letter(LimitAlgorithm algorithm) => KeyNames.Letter(algorithm);
}

/// <summary>How the keys are called; one hash tag for all.</summary>
internal static class KeyNames
{
    public static string Clock(string prefix) => $"{{{prefix}:limits}}:clock";

    public static string Instances(string prefix) => $"{{{prefix}:limits}}:instances";

    /// <summary>Another algorithm or window is another count: a change of these begins anew.</summary>
    public static string Count(string prefix, LimitPolicy policy, string subject, int resets) => string.Create(
        CultureInfo.InvariantCulture,
        $"{{{prefix}:limits}}:{Letter(policy.Algorithm)}{policy.WindowMicros / 1000}:{policy.Name}:{subject}{(resets == 0 ? "" : $"#{resets}")}");

    public static string Records(string count) => count + ":open";

    public static string Letter(LimitAlgorithm algorithm) => algorithm switch
    {
        LimitAlgorithm.TokenBucket => "b",
        LimitAlgorithm.SlidingWindow => "s",
        LimitAlgorithm.FixedWindow => "f",
        _ => "c",
    };
}
