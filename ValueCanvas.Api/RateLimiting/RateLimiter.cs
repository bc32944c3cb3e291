using ValueCanvas.Api.RateLimiting.Memory;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>Counts for all instances in Redis, and for this one in memory while Redis does not answer in time.</summary>
internal sealed class RateLimiter(RedisLimiter redis, LocalLimiter local, RedisHeart heart, TimeProvider time)
{
    /// <summary>Charges all or none. Where the policies that refuse let a request wait, it waits, and asks again.</summary>
    public async ValueTask<LimitDecision> ChargeAsync(IReadOnlyList<Charge> charges, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            var decision = await TryChargeAsync(charges);
            if (decision.Binding is not { Wait: not Reading.Never } binding)
                return decision;
            var patience = decision.Readings.Where(reading => reading.Denied && !reading.Charge.Policy.Shadow)
                .Min(reading => reading.Charge.Policy.MaxWait) - time.GetElapsedTime(started);
            var wait = TimeSpan.FromMicroseconds(binding.Wait);
            if (wait > patience)
                return decision;
            // Others may take it first: who has waited asks again.
            await Task.Delay(wait > MinPause ? wait : MinPause, time, cancellationToken);
        }
    }

    /// <summary>Ends what an admitted request holds, and exchanges the tokens that it reserved for those that it used. Does nothing twice.</summary>
    public ValueTask SettleAsync(LimitDecision decision, long tokens) => EndAsync(decision, tokens);

    /// <summary>Gives everything back: the request was not one that these policies count.</summary>
    public ValueTask UndoAsync(LimitDecision decision) => EndAsync(decision, tokens: null);

    private async ValueTask EndAsync(LimitDecision decision, long? tokens)
    {
        if (!decision.Allowed || !decision.End(tokens) || !decision.NeedsSettling(tokens))
            return;
        if (decision.Counted && await redis.SettleAsync(decision, tokens))
        {
            foreach (var reading in decision.Readings.Where(reading => reading.Charge.Policy.Algorithm == LimitAlgorithm.Concurrency))
                local.Release(reading.Charge, decision.Id);
            return;
        }

        local.Settle(decision, tokens, heart.Instances);
    }

    private static readonly TimeSpan MinPause = TimeSpan.FromMilliseconds(1);

    private async ValueTask<LimitDecision> TryChargeAsync(IReadOnlyList<Charge> charges)
    {
        var id = Guid.NewGuid().ToString("N");
        if (!redis.Exists)
            return Decide(id, local.Charge(charges, heart.Instances, id, isLate: false), isLate: false);
        var (decision, late) = await redis.ChargeAsync(charges, id);
        if (decision is not null)
            return decision;

        decision = DecideWithoutRedis(charges, id, late is not null);
        if (late is not null)
            _ = redis.AdoptAsync(charges, decision, late);
        return decision;
    }

    private LimitDecision DecideWithoutRedis(IReadOnlyList<Charge> charges, string id, bool isLate)
    {
        var closed = charges.Where(charge => charge.Policy.WithoutRedis == WithoutRedis.Closed)
            .Select(charge => new Reading(charge, true, 0, 0, LimitMath.ConcurrencyWait, 0, 0)).ToArray();
        if (closed.Any(reading => !reading.Charge.Policy.Shadow))
            return Decide(id, closed, isLate);
        var counted = charges.Where(charge => charge.Policy.WithoutRedis == WithoutRedis.Degraded).ToArray();
        return Decide(id, local.Charge(counted, heart.Instances, id, isLate), isLate);
    }

    private static LimitDecision Decide(string id, IReadOnlyList<Reading> readings, bool isLate) =>
        new(id, readings, LimitDecision.FindBinding(readings), counted: false, epoch: 0) { IsLate = isLate };
}
