using System.Globalization;
using Microsoft.Extensions.Options;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>The counts of all instances together. Nobody waits longer than the timeout; null or false: it was not done in time.</summary>
/// <remarks>
/// All keys have one hash tag, and so one slot of a Redis cluster: a request is charged to all of its policies or none, the global ones
/// among them, which one script can do in one slot alone.
/// </remarks>
internal sealed class RedisLimiter
{
    private const int ArgumentsOfACharge = 8;
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

    /// <summary>The decision; or the question that is still under way, for <see cref="AdoptAsync"/>; or neither.</summary>
    public async ValueTask<(LimitDecision? Decision, Task<long[]>? Late)> ChargeAsync(IReadOnlyList<Charge> charges, string id)
    {
        if (_gate.IsOpen || _redis is null)
            return default;
        var (keys, values) = Question(charges, id);
        var (answer, late) = await _gate.AskAsync(() => RedisScript.Charge.RunAsync(_redis.GetDatabase(), keys, values));
        if (answer is null)
            return (null, late);

        var decision = Decide(charges, answer, id);
        Volatile.Write(ref _epoch, decision.Epoch);
        for (var i = 0; i < charges.Count; i++)
        {
            var admitted = decision.Allowed && !decision.Readings[i].Denied;
            var level = answer[4 + i * NumbersOfAReading + 4];
            var restored = (long)values[2 + i * ArgumentsOfACharge + 7];
            _local.Follow(charges[i], level, decision.Readings[i].Reset, decision.Epoch, restored, admitted ? id : null);
        }

        if (decision.Allowed)
            _leases.Begin(decision);
        return (decision, null);
    }

    /// <summary>
    /// Waits, when memory has decided already, for what Redis says after all, and brings it into line: so every request is counted for all
    /// instances just once, however late Redis was. Nobody waits for this.
    /// </summary>
    public async Task AdoptAsync(IReadOnlyList<Charge> charges, LimitDecision made, Task<long[]> late)
    {
        try
        {
            // 1. What it holds now of a request that was refused is given back; what was admitted without room there is a debt.
            var counted = Decide(charges, await late, made.Id);
            if (!made.Allowed)
            {
                if (counted.Allowed)
                    await _leases.SettleAsync(_redis!.GetDatabase(), counted, tokens: null);
                return;
            }

            if (!counted.Allowed)
            {
                var (keys, values) = Question(charges, made.Id, isAdmitted: true);
                counted = Decide(charges, await RedisScript.Charge.RunAsync(_redis!.GetDatabase(), keys, values), made.Id);
            }

            // 2. From here it is a request like any other.
            _leases.Begin(counted);
            var tokens = await made.Over;
            _leases.End(counted);
            if (counted.NeedsSettling(tokens))
                await _leases.SettleAsync(_redis!.GetDatabase(), counted, tokens);
        }
        catch (Exception)
        {
            // It broke off: what memory has counted is told when Redis is back.
            _local.Tell(made.Readings);
        }
    }

    public async ValueTask<bool> SettleAsync(LimitDecision decision, long? tokens)
    {
        _leases.End(decision);
        if (!_gate.IsOpen && _redis is not null)
            return (await _gate.AskAsync(() => _leases.SettleAsync(_redis.GetDatabase(), decision, tokens))).Answer is not null;
        _leases.Owe(decision, tokens);
        return false;
    }

    private (RedisKey[] Keys, RedisValue[] Values) Question(IReadOnlyList<Charge> charges, string id, bool isAdmitted = false)
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
            values[at++] = (policy.Shadow ? 1 : 0) + (policy.IsReclaimable ? 2 : 0) + (isAdmitted ? 4 : 0);
            values[at++] = _lifetime;
            values[at++] = isAdmitted ? 0 : _local.LevelToRestore(charge, epoch);
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
