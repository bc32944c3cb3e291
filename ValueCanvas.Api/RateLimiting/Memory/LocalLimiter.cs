using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting.Memory;

/// <summary>
/// The counts of this instance: all policies of a request checked, then all charged or none, under the locks of their counts. Bounded: what
/// is empty is dropped, and where too many subjects are left, new ones share a count.
/// </summary>
internal sealed class LocalLimiter(IOptions<RateLimitingOptions> options, TimeProvider time)
{
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, LocalCounter> _counters = new(StringComparer.Ordinal);
    private readonly int _most = options.Value.MaxSubjects;
    private long _sweptAt;
    private int _count;

    public long Now => (long)(time.GetTimestamp() * (1_000_000.0 / time.TimestampFrequency));

    public int Count => Volatile.Read(ref _count);

    /// <param name="charges">All that the request costs.</param>
    /// <param name="instances">Among so many the limits are shared.</param>
    /// <param name="id">The request's.</param>
    /// <param name="isLate">Redis was asked, and will count it when it answers.</param>
    public IReadOnlyList<Reading> Charge(IReadOnlyList<Charge> charges, int instances, string id, bool isLate)
    {
        while (true)
        {
            var counters = charges.Select(charge => Counter(charge, shared: true)!).ToArray();
            using var locks = new Locks(counters);
            // Swept away between the look-up and the lock: it would count for nobody.
            if (!Array.Exists(counters, counter => counter.IsGone))
                return Charge(charges, counters, instances, id, isLate);
        }
    }

    private Reading[] Charge(IReadOnlyList<Charge> charges, LocalCounter[] counters, int instances, string id, bool isLate)
    {
        var readings = new Reading[charges.Count];
        var now = Now;
        for (var i = 0; i < readings.Length; i++)
            readings[i] = counters[i].Look(charges[i], charges[i].Cost * instances, now);
        if (LimitDecision.FindBinding(readings) >= 0)
            return readings;
        for (var i = 0; i < readings.Length; i++)
        {
            if (readings[i].Denied)
                continue;
            readings[i] = counters[i].Take(charges[i], charges[i].Cost * instances, now, id);
            counters[i].IsAhead |= !isLate;
        }

        return readings;
    }

    /// <summary>Exchanges what was reserved here for what was used, and ends leases.</summary>
    public void Settle(LimitDecision decision, long? tokens, int instances)
    {
        var reservedHere = !decision.Counted;
        foreach (var reading in decision.Readings.Where(reading => LimitDecision.NeedsSettling(reading, tokens)))
        {
            var charge = reading.Charge;
            if (charge.Policy.Algorithm == LimitAlgorithm.Concurrency)
            {
                Release(charge, decision.Id);
                continue;
            }

            if (Counter(charge, shared: true) is not { } counter)
                continue;
            lock (counter.Gate)
            {
                // What Redis charged cannot be refunded here: it knows the place. A debt can be kept until Redis is back.
                var more = charge.Used(tokens) - charge.Cost;
                if (more > 0)
                    counter.Add(charge, more * (reservedHere ? instances : 1), Now);
                else if (reservedHere)
                    counter.Refund(charge, -more * instances, Now, reading.Place, reading.Refunds);
                counter.IsAhead |= !decision.IsLate && (reservedHere || more > 0);
            }
        }
    }

    /// <summary>Redis never heard of a request that was late there: it is told with the next question.</summary>
    public void Tell(IReadOnlyList<Reading> readings)
    {
        foreach (var reading in readings.Where(reading => !reading.Denied))
        {
            if (!_counters.TryGetValue(reading.Charge.Key, out var counter))
                continue;
            lock (counter.Gate)
                counter.IsAhead = true;
        }
    }

    public void Release(Charge charge, string id)
    {
        if (Counter(charge, shared: true) is LocalLeases leases)
        {
            lock (leases.Gate)
                leases.Release(id);
        }
    }

    /// <summary>Redis has counted: remembers how it stands there, so that a count in memory can begin with it.</summary>
    /// <param name="charge">What it was asked.</param>
    /// <param name="level">How full it is.</param>
    /// <param name="reset">Until nothing of it is left.</param>
    /// <param name="epoch">Redis'.</param>
    /// <param name="restored">The level that Redis was told with the question.</param>
    /// <param name="id">The request's, where it was admitted.</param>
    public void Follow(Charge charge, long level, long reset, long epoch, long restored, string? id)
    {
        if (Counter(charge, shared: false) is not { } counter)
            return;
        lock (counter.Gate)
        {
            if (counter is LocalLeases leases && id is not null)
                leases.Note(id);
            // An answer that was under way while something was counted here does not know of it.
            else if (counter.Epoch != 0 && counter.Epoch != epoch && restored == 0)
            {
                // Redis has forgotten what is known here; the next question tells it.
                (counter.IsAhead, counter.Epoch) = (true, epoch);
                return;
            }
            else if (!counter.IsAhead || restored > 0)
                counter.Follow(charge, level, reset, Now);
            else
                return;
            counter.IsAhead = false;
            counter.Epoch = epoch;
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
            counter.IsAhead &= level > 0;
            return level;
        }
    }

    /// <summary>Null where there are too many, unless it may be the one that the rest share.</summary>
    private LocalCounter? Counter(Charge charge, bool shared)
    {
        Sweep();
        if (_counters.TryGetValue(charge.Key, out var counter))
            return counter;
        if (Count < _most)
            return GetOrAdd(charge.Key, charge.Policy.Algorithm);
        return shared ? GetOrAdd($"{charge.Policy.Name}:(others)", charge.Policy.Algorithm) : null;
    }

    private LocalCounter GetOrAdd(string key, LimitAlgorithm algorithm)
    {
        LocalCounter made = algorithm switch
        {
            LimitAlgorithm.TokenBucket => new LocalBucket(),
            LimitAlgorithm.SlidingWindow => new LocalSlidingWindow(),
            LimitAlgorithm.FixedWindow => new LocalFixedWindow(),
            _ => new LocalLeases(),
        };
        var kept = _counters.GetOrAdd(key, made);
        if (ReferenceEquals(kept, made))
            Interlocked.Increment(ref _count);
        return kept;
    }

    private void Sweep()
    {
        var last = Volatile.Read(ref _sweptAt);
        if ((last != 0 && time.GetElapsedTime(last) < SweepInterval)
            || Interlocked.CompareExchange(ref _sweptAt, time.GetTimestamp(), last) != last || last == 0)
            return;
        foreach (var (key, counter) in _counters)
        {
            lock (counter.Gate)
            {
                if (!counter.IsEmpty(Now) || !_counters.TryRemove(KeyValuePair.Create(key, counter)))
                    continue;
                counter.IsGone = true;
                Interlocked.Decrement(ref _count);
            }
        }
    }

    /// <summary>Takes the locks of all counters in one order, whatever the order of the policies.</summary>
    private readonly ref struct Locks
    {
        private readonly LocalCounter[] _held;

        public Locks(LocalCounter[] counters)
        {
            _held = counters.Length == 1 ? counters : [.. counters.DistinctBy(counter => counter.Order).OrderBy(counter => counter.Order)];
            foreach (var counter in _held)
                counter.Gate.Enter();
        }

        public void Dispose()
        {
            foreach (var counter in _held)
                counter.Gate.Exit();
        }
    }
}
