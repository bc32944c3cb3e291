using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;

namespace ValueCanvas.Api.RateLimiting.Memory;

// What memory knows of the counts in Redis, and Redis of those in memory.
internal sealed partial class LocalLimiter
{
    private readonly long _lifetime = (long)options.Value.LeaseLifetime.TotalMicroseconds;
    private long _expectedAt;
    private long _heardAt;

    /// <summary>Redis has said something, so it may be counting for anybody.</summary>
    public void Hear() => Volatile.Write(ref _heardAt, Math.Max(1, Now));

    /// <summary>There is a Redis, though nothing was heard of it yet.</summary>
    public void Expect() => Volatile.Write(ref _expectedAt, Math.Max(1, Now));

    /// <summary>Redis is asked: until it has answered, all of this may have been admitted.</summary>
    public void Ask(IReadOnlyList<Charge> charges)
    {
        foreach (var charge in charges)
        {
            if (Counter(charge, shared: false) is not { } counter)
                continue;
            lock (counter.Gate)
                counter.Asked += charge.Cost;
        }
    }

    /// <summary>It is not waited for any more.</summary>
    public void GiveUp(IReadOnlyList<Charge> charges)
    {
        foreach (var charge in charges)
        {
            if (!_counters.TryGetValue(charge.Key, out var counter))
                continue;
            lock (counter.Gate)
                counter.Asked = Math.Max(0, counter.Asked - charge.Cost);
        }
    }

    /// <summary>Redis has counted: remembers how it stands there, so that a count in memory can begin with it.</summary>
    public void Follow(ChargeQuestion question, ChargeAnswer answer)
    {
        Hear();
        var decision = answer.Decision;
        for (var i = 0; i < answer.Levels.Length; i++)
        {
            var charge = question.Charges[i];
            if (Counter(charge, shared: false) is not { } counter)
                continue;
            lock (counter.Gate)
            {
                counter.Asked = Math.Max(0, counter.Asked - charge.Cost);
                if (counter is LocalLeases leases && decision.Allowed && !decision.Readings[i].Denied)
                    leases.Note(decision.Id);
                Follow(counter, charge, answer.Levels[i], decision.Epoch, question.Restored[i]);
            }
        }
    }

    /// <summary>Redis has exchanged what a request was charged for what it used.</summary>
    public void Follow(LimitDecision decision, long? tokens, long[] levels)
    {
        Hear();
        var at = 0;
        foreach (var reading in decision.Readings.Where(reading => LimitDecision.NeedsSettling(reading, tokens)))
        {
            // Of each a level, and when nothing is left of it.
            var level = levels[at];
            at += 2;
            if (!_counters.TryGetValue(reading.Charge.Key, out var counter))
                continue;
            lock (counter.Gate)
            {
                if (counter.Epoch == decision.Epoch)
                    Follow(counter, reading.Charge, level, decision.Epoch, restored: 0);
            }
        }
    }

    /// <summary>Redis has counted, late, what was admitted here.</summary>
    /// <param name="made">The decision here.</param>
    /// <param name="first">What Redis would have said in time.</param>
    /// <param name="counted">How it stands there now.</param>
    public void Adopt(LimitDecision made, LimitDecision first, ChargeAnswer counted)
    {
        Hear();
        for (var i = 0; i < counted.Levels.Length; i++)
        {
            var charge = counted.Decision.Readings[i].Charge;
            if (!made.Readings.Any(reading => reading.Charge == charge && !reading.Denied)
                || !_counters.TryGetValue(charge.Key, out var counter))
            {
                continue;
            }

            lock (counter.Gate)
            {
                counter.Taken = Math.Max(0, counter.Taken - charge.Cost * made.Instances);
                if (first.Readings[i].Wait == 0)
                    counter.ReturnAside(charge, made.Instances, made.Id);
                Follow(counter, charge, counted.Levels[i], counted.Decision.Epoch, restored: 0);
            }
        }
    }

    /// <summary>Redis never heard of what was admitted here: it is told with the next question.</summary>
    public void Tell(LimitDecision made)
    {
        if (!made.Allowed)
            return;
        foreach (var reading in made.Readings.Where(reading => !reading.Denied))
        {
            if (!_counters.TryGetValue(reading.Charge.Key, out var counter))
                continue;
            lock (counter.Gate)
            {
                counter.Taken = Math.Max(0, counter.Taken - reading.Charge.Cost * made.Instances);
                counter.IsAhead = true;
            }
        }
    }

    private void Follow(LocalCounter counter, Charge charge, long level, long epoch, long restored)
    {
        if (counter.Epoch != 0 && counter.Epoch != epoch && restored == 0 && counter is not LocalLeases)
        {
            // Redis has forgotten what is known here; the next question tells it.
            (counter.IsAhead, counter.Epoch) = (true, epoch);
            return;
        }

        // An answer that was under way while something was counted here does not know of it.
        if (counter.IsAhead && restored == 0)
            return;
        counter.Follow(charge, level, Now);
        if (counter.Taken > 0)
            counter.Add(charge, counter.Taken, Now);
        counter.IsAhead = false;
        counter.Epoch = epoch;
    }

    /// <summary>What Redis does not know, or has forgotten: the level to restore there; 0 where there is nothing to say.</summary>
    public long LevelToRestore(Charge charge, long epoch)
    {
        if (charge.Policy.Algorithm == LimitAlgorithm.Concurrency || !_counters.TryGetValue(charge.Key, out var counter))
            return 0;
        lock (counter.Gate)
        {
            if (!counter.IsAhead && (counter.Epoch == 0 || counter.Epoch == epoch))
                return 0;
            var level = counter.Level(charge, Now);
            counter.IsAhead &= level > 0;
            return level;
        }
    }

    // As long as what it last admitted for others may count. One that was never heard of is taken for away, but not by a strict policy.
    private bool MayRedisCount(Charge charge, long now)
    {
        var heard = Volatile.Read(ref _heardAt);
        if (heard == 0 && charge.Policy.IsStrict)
            heard = Volatile.Read(ref _expectedAt);
        return heard != 0 && now - heard < (charge.Policy.Algorithm == LimitAlgorithm.Concurrency
            ? _lifetime
            : Math.Max(charge.Policy.WindowMicros, charge.BurstMicros));
    }
}
