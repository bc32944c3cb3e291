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
            var decision = await TryChargeAsync(charges, started, cancellationToken);
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

    /// <summary>
    /// Ends what an admitted request holds, and exchanges the tokens that it reserved for those that it used. Does nothing twice.
    /// </summary>
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

    private async ValueTask<LimitDecision> TryChargeAsync(IReadOnlyList<Charge> charges, long started, CancellationToken cancellationToken)
    {
        var id = Guid.NewGuid().ToString("N");
        if (!redis.Exists)
            return DecideInMemory(charges, id, new(heart.Instances, IsTold: false, IsLate: false));
        var (decision, late) = await redis.ChargeAsync(charges, id);
        if (decision is not null)
            return decision;

        // 1. Under a strict policy Redis is waited for longer, for a guess might be too much.
        var (instances, isLate) = (heart.Instances, late is not null);
        if (!local.MayDecide(charges, instances))
        {
            var patience = charges.Where(charge => charge.Policy.IsStrict).Min(charge => charge.Policy.MaxWait)
                - time.GetElapsedTime(started);
            if (patience > TimeSpan.Zero)
                late ??= redis.TryAsk(charges, id);
            if (patience > TimeSpan.Zero && late is not null)
            {
                await ((Task)late.WaitAsync(patience, time, cancellationToken)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (late.IsCompletedSuccessfully)
                    return redis.Take(charges, late.Result);
            }
        }

        // 2. Memory decides, and Redis counts it when it can.
        var isTold = late is not null || redis.CanTell;
        var made = DecideWithoutRedis(charges, id, new(instances, isTold, isLate));
        if (late is null && isTold && made.Allowed)
            late = redis.TellAsync(charges, id);
        if (late is not null)
            _ = redis.AdoptAsync(charges, made, late);
        return made;
    }

    private LimitDecision DecideWithoutRedis(IReadOnlyList<Charge> charges, string id, Circumstances how)
    {
        var closed = charges.Where(charge => charge.Policy.WithoutRedis == WithoutRedis.Closed)
            .Select(charge => new Reading(charge, true, 0, 0, LimitMath.ConcurrencyWait, 0, 0)).ToArray();
        if (closed.Any(reading => !reading.Charge.Policy.Shadow))
            return Decide(id, closed, how);
        var counted = charges.Where(charge => charge.Policy.WithoutRedis == WithoutRedis.Degraded).ToArray();
        return DecideInMemory(counted, id, how);
    }

    private LimitDecision DecideInMemory(IReadOnlyList<Charge> charges, string id, Circumstances how) =>
        Decide(id, local.Charge(charges, how.Instances, id, how.IsTold), how);

    private static LimitDecision Decide(string id, IReadOnlyList<Reading> readings, Circumstances how) =>
        new(id, readings, LimitDecision.FindBinding(readings), counted: false, epoch: 0)
        {
            IsTold = how.IsTold, IsLate = how.IsLate, Instances = how.Instances,
        };

    private readonly record struct Circumstances(int Instances, bool IsTold, bool IsLate);
}
