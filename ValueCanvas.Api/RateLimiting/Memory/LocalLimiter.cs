using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting.Memory;

/// <summary>
/// The counts of this instance: all policies of a request checked, then all charged or none, under the locks of their counts. Bounded: what
/// is empty is dropped, and where too many subjects are left, new ones share a count.
/// </summary>
internal sealed partial class LocalLimiter(IOptions<RateLimitingOptions> options, TimeProvider time)
{
    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, LocalCounter> _counters = new(StringComparer.Ordinal);
    private readonly int _most = options.Value.MaxSubjects;
    private long _sweptAt;
    private int _count;

    public long Now => Micros(time);

    public int Count => Volatile.Read(ref _count);

    /// <param name="charges">All that the request costs.</param>
    /// <param name="instances">Among so many the limits are shared.</param>
    /// <param name="id">The request's.</param>
    /// <param name="isTold">Redis is, or will be, asked to count what is admitted.</param>
    public IReadOnlyList<Reading> Charge(IReadOnlyList<Charge> charges, int instances, string id, bool isTold)
    {
        while (true)
        {
            var counters = charges.Select(charge => Counter(charge, shared: true)!).ToArray();
            using var locks = new Locks(counters);
            // Swept away between the look-up and the lock: it would count for nobody.
            if (!Array.Exists(counters, counter => counter.IsGone))
                return Charge(charges, counters, instances, id, isTold);
        }
    }

    /// <summary>
    /// Whether anything but Redis may decide: a strict policy is not guessed at while Redis may be counting what is not known here.
    /// </summary>
    public bool MayDecide(IReadOnlyList<Charge> charges, int instances) => charges.All(charge => !charge.Policy.IsStrict
        || charge.Policy.WithoutRedis == WithoutRedis.Open
        || !MayRedisCount(charge, Now)
        || (Counter(charge, shared: false) is { } counter && IsAlone(counter, instances)));

    private Reading[] Charge(IReadOnlyList<Charge> charges, LocalCounter[] counters, int instances, string id, bool isTold)
    {
        var readings = new Reading[charges.Count];
        var now = Now;
        for (var i = 0; i < readings.Length; i++)
            readings[i] = Look(charges[i], counters[i], instances, now);
        if (LimitDecision.FindBinding(readings) >= 0)
            return readings;
        for (var i = 0; i < readings.Length; i++)
        {
            if (readings[i].Denied)
                continue;
            var (charge, counter) = (charges[i], counters[i]);
            readings[i] = counter.Take(charge, charge.Cost * instances, now, id);
            if (isTold)
                counter.Taken += charge.Cost * instances;
            else
                counter.AheadAt = Moment();
            if (!IsAlone(counter, instances) && MayRedisCount(charge, now))
                counter.TakeAside(charge, instances, now, id);
        }

        return readings;
    }

    private Reading Look(Charge charge, LocalCounter counter, int instances, long now)
    {
        var reading = counter.Look(charge, charge.Cost * instances, counter.Asked, now);
        if (reading.Denied || IsAlone(counter, instances) || !MayRedisCount(charge, now)
            || (!charge.Policy.IsStrict && counter.FitsAside(charge, instances, now)))
            return reading;
        return reading with { Denied = true, Wait = LimitMath.ConcurrencyWait };
    }

    // Nobody else counts, and all that was counted is known.
    private static bool IsAlone(LocalCounter counter, int instances) => instances == 1 && counter.Epoch != 0;

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
                if (!decision.IsTold && (reservedHere || more > 0))
                    counter.AheadAt = Moment();
            }
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
            LimitAlgorithm.Concurrency => new LocalLeases(),
            _ => new LocalWindow(),
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
                if (!counter.IsIdle(Now) || !_counters.TryRemove(KeyValuePair.Create(key, counter)))
                    continue;
                counter.IsGone = true;
                Interlocked.Decrement(ref _count);
            }
        }
    }

    private static long Micros(TimeProvider time) => (long)(time.GetTimestamp() * (1_000_000.0 / time.TimestampFrequency));

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
