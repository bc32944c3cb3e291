using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;

namespace ValueCanvas.Api.RateLimiting.Memory;

// What memory knows of the counts in Redis, and Redis of those in memory.
internal sealed partial class LocalLimiter
{
    private readonly long _lifetime = (long)options.Value.LeaseLifetime.TotalMicroseconds;
    private readonly Lock _epochGate = new();
    private long _expectedAt;
    private long _heardAt;
    private long _moments;
    private long _epoch;
    private long _epochHeardAt;

    /// <summary>Of Redis, as it was heard last; 0: never.</summary>
    public long Epoch => Volatile.Read(ref _epoch);

    /// <summary>How far this instance has come with asking and hearing: later moments are higher.</summary>
    public long Moment() => Interlocked.Increment(ref _moments);

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
        Hear(answer.Said);
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
                Follow(counter, charge, answer.Levels[i], answer.Said, question.Restored[i]);
            }
        }
    }

    /// <summary>Redis has exchanged what a request was charged for what it used.</summary>
    /// <param name="decision">The request's.</param>
    /// <param name="tokens">What it used.</param>
    /// <param name="answer">Time, epoch, and of each charge a level, and when nothing is left of it.</param>
    /// <param name="asked">How far this instance had come when it asked.</param>
    public void Follow(LimitDecision decision, long? tokens, long[] answer, long asked)
    {
        var said = new Said(asked, answer[1], answer[0], Place: 0);
        Hear(said);
        var at = 2;
        foreach (var reading in decision.Readings.Where(reading => LimitDecision.NeedsSettling(reading, tokens)))
        {
            var level = answer[at];
            at += 2;
            if (!_counters.TryGetValue(reading.Charge.Key, out var counter))
                continue;
            lock (counter.Gate)
                Follow(counter, reading.Charge, level, said, restored: 0);
        }
    }

    /// <summary>Redis has counted, late, what was admitted here.</summary>
    /// <param name="made">The decision here.</param>
    /// <param name="first">What Redis would have said in time.</param>
    /// <param name="counted">How it stands there now.</param>
    public void Adopt(LimitDecision made, LimitDecision first, ChargeAnswer counted)
    {
        Hear(counted.Said);
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
                var taken = Math.Min(counter.Taken, charge.Cost * made.Instances);
                counter.Taken -= taken;
                if (first.Readings[i].Wait == 0)
                    counter.ReturnAside(charge, made.Instances, made.Id);
                // A newer answer counts it, too: so it is no longer counted beside that.
                if (!Follow(counter, charge, counted.Levels[i], counted.Said, restored: 0) && !counter.IsAhead)
                    counter.Remove(charge, taken);
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
                counter.AheadAt = Moment();
            }
        }
    }

    // False: a newer answer has told it already.
    private bool Follow(LocalCounter counter, Charge charge, long level, Said said, long restored)
    {
        if (!counter.TryHear(said, Moment()))
            return false;
        if (counter.Epoch != 0 && counter.Epoch != said.Epoch && restored == 0 && counter is not LocalLeases)
        {
            // Redis has forgotten what is known here; the next question tells it.
            (counter.AheadAt, counter.Epoch) = (Moment(), said.Epoch);
            return true;
        }

        // An answer that was under way while something was counted here does not know of it.
        if (counter.IsAhead && (restored == 0 || said.Asked <= counter.AheadAt))
            return true;
        counter.Follow(charge, level, Now);
        if (counter.Taken > 0)
            counter.Add(charge, counter.Taken, Now);
        (counter.AheadAt, counter.Epoch) = (0, said.Epoch);
        return true;
    }

    private void Hear(Said said)
    {
        Hear();
        if (Epoch == said.Epoch)
            return;
        lock (_epochGate)
        {
            // Epochs do not come back: what was under way when another was heard, and has the lower number, is of an earlier one.
            if (said.Asked <= _epochHeardAt && said.Epoch < _epoch)
                return;
            Volatile.Write(ref _epoch, said.Epoch);
            _epochHeardAt = Moment();
        }
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
            if (level == 0)
                counter.AheadAt = 0;
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
