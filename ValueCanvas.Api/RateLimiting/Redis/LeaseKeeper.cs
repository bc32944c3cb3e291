using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using StackExchange.Redis;
using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>
/// What requests of this instance hold in Redis while they run: renewed, so that a short lifetime gives it back after a crash; and
/// exchanged for what they used when they are over, if need be when Redis is back.
/// </summary>
internal sealed class LeaseKeeper(IOptions<RateLimitingOptions> options)
{
    private const int BatchSize = 100;

    // Beyond that lifetimes give back what is held.
    private const int MaxOwed = 10_000;

    private readonly ConcurrentDictionary<string, LimitDecision> _held = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<(LimitDecision Decision, long? Tokens)> _owed = new();
    private readonly RedisKey _clock = KeyNames.Clock(options.Value.Prefix);
    private readonly long _lifetime = (long)options.Value.LeaseLifetime.TotalMicroseconds;

    public int Count => _held.Count;

    public void Begin(LimitDecision decision)
    {
        if (decision.Readings.Any(IsHeld))
            _held[decision.Id] = decision;
    }

    public void End(LimitDecision decision) => _held.TryRemove(decision.Id, out _);

    /// <summary>A request is over while Redis is left alone.</summary>
    public void Owe(LimitDecision decision, long? tokens)
    {
        if (_owed.Count < MaxOwed)
            _owed.Enqueue((decision, tokens));
    }

    public bool TryTakeOwed(out (LimitDecision Decision, long? Tokens) owed) => _owed.TryDequeue(out owed);

    /// <summary>Exchanges what a request was charged for what it used, and ends its leases.</summary>
    public Task<long[]> SettleAsync(IDatabase database, LimitDecision decision, long? tokens)
    {
        List<RedisKey> keys = [_clock];
        List<RedisValue> values = [decision.Id, decision.Epoch];
        foreach (var reading in decision.Readings.Where(reading => LimitDecision.NeedsSettling(reading, tokens)))
        {
            var charge = reading.Charge;
            keys.AddRange([charge.Key, charge.Policy.IsReclaimable ? KeyNames.Records(charge.Key) : charge.Key]);
            values.AddRange(
            [
                KeyNames.Letter(charge.Policy.Algorithm), charge.Limit, charge.Policy.WindowMicros, charge.Cost, charge.Used(tokens),
                reading.Place, reading.Refunds, charge.Policy.IsReclaimable ? 2 : 0,
            ]);
        }

        return RedisScript.Settle.RunAsync(database, [.. keys], [.. values]);
    }

    /// <summary>The calls that lengthen everything that is held, each to be started and bounded by the caller.</summary>
    public IEnumerable<Func<Task<long[]>>> Renewals(IDatabase database) => _held.Values
        .SelectMany(decision => decision.Readings.Where(IsHeld).Select(reading => Member(decision, reading)))
        .Chunk(BatchSize)
        .Select(batch => (Func<Task<long[]>>)(() => RenewAsync(database, batch)));

    private async Task<long[]> RenewAsync(IDatabase database, (RedisKey Key, RedisValue Member, bool PutBack)[] batch)
    {
        var answer = await RedisScript.Renew.RunAsync(
            database,
            [_clock, .. batch.Select(item => item.Key)],
            [.. batch.SelectMany(item => new RedisValue[] { item.Member, _lifetime, item.PutBack ? 1 : 0 })]);
        // What ended while this was on its way was put back, and is nobody's any more.
        await Task.WhenAll(batch.Where(item => item.PutBack && !_held.ContainsKey(item.Member!))
            .Select(item => database.SortedSetRemoveAsync(item.Key, item.Member)));
        return answer;
    }

    private static bool IsHeld(Reading reading) => !reading.Denied
        && (reading.Charge.Policy.Algorithm == LimitAlgorithm.Concurrency || reading.Charge.Policy.IsReclaimable);

    private static (RedisKey Key, RedisValue Member, bool PutBack) Member(LimitDecision decision, Reading reading)
    {
        var charge = reading.Charge;
        // A running request has its place also after a flush; a reservation that is gone is settled in full.
        return charge.Policy.Algorithm == LimitAlgorithm.Concurrency
            ? (charge.Key, decision.Id, true)
            : (KeyNames.Records(charge.Key), $"{decision.Id}:{charge.Cost}:{reading.Place}:{reading.Refunds}", false);
    }
}
