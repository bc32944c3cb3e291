using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Redis;

namespace ValueCanvas.Api.RateLimiting.Memory;

/// <summary>
/// A count in memory, in the units of the whole system: while Redis counts it follows what Redis says; while Redis is away a request here
/// costs as much as one at each instance. Locked by its callers.
/// </summary>
internal abstract class LocalCounter
{
    private static long _last;
    private LocalWindow? _aside;
    private Said _said;
    private long _heardAt;

    /// <summary>Counters are locked in this order.</summary>
    public long Order { get; } = Interlocked.Increment(ref _last);

    public Lock Gate { get; } = new();

    /// <summary>Has counted something that Redis does not know.</summary>
    public bool IsAhead => AheadAt != 0;

    /// <summary>How far the instance had come when it did so last; 0: Redis knows all.</summary>
    public long AheadAt { get; set; }

    /// <summary>What Redis was asked for and has not answered yet; it may have been admitted there.</summary>
    public long Asked { get; set; }

    /// <summary>What was admitted here and Redis is being told of: counted here until it is counted there.</summary>
    public long Taken { get; set; }

    /// <summary>Nobody finds it any more.</summary>
    public bool IsGone { get; set; }

    /// <summary>The epoch of Redis in which it followed last.</summary>
    public long Epoch { get; set; }

    /// <summary>Whether a cost fits; nothing is changed but what time changes.</summary>
    /// <param name="charge">Whose limit it is.</param>
    /// <param name="cost">In the units of the whole system.</param>
    /// <param name="asked">What may come beside it.</param>
    /// <param name="now">The time.</param>
    public abstract Reading Look(Charge charge, long cost, long asked, long now);

    /// <summary>Counts what fits, and says how it stands then.</summary>
    public abstract Reading Take(Charge charge, long cost, long now, string id);

    /// <summary>Gives back a part of an earlier charge, never more of it than is still counted.</summary>
    public abstract void Refund(Charge charge, long amount, long now, long place, long refunds);

    /// <summary>Counts whatever the limit says: a debt.</summary>
    public abstract void Add(Charge charge, long amount, long now);

    /// <summary>So much was no part of it after all, or is counted otherwise by now.</summary>
    public abstract void Remove(Charge charge, long amount);

    /// <summary>False: a newer answer of Redis was heard already.</summary>
    /// <param name="said">When Redis said it.</param>
    /// <param name="moment">How far the instance has come.</param>
    public bool TryHear(Said said, long moment)
    {
        if (said.IsBefore(_said, _heardAt))
            return false;
        (_said, _heardAt) = (said, moment);
        return true;
    }

    /// <summary>Takes over the level that Redis told.</summary>
    public abstract void Follow(Charge charge, long level, long now);

    /// <summary>The level, as Redis' script takes it to restore it.</summary>
    public abstract long Level(Charge charge, long now);

    /// <summary>Whether memory may admit it though Redis may be counting: see <see cref="LimitMath.Quarter"/>.</summary>
    public virtual bool FitsAside(Charge charge, int instances, long now)
    {
        var cost = Aside(charge, instances);
        // Requests are small: one at each instance is never too many. Tokens may be.
        return (cost <= charge.Limit || charge.Policy.Unit == LimitUnit.Requests) && !(_aside ??= new()).Look(charge, cost, 0, now).Denied;
    }

    public virtual void TakeAside(Charge charge, int instances, long now, string id) =>
        (_aside ??= new()).Add(charge, Aside(charge, instances), now);

    /// <summary>Redis had room for it after all.</summary>
    public virtual void ReturnAside(Charge charge, int instances, string id) => _aside?.Remove(charge, Aside(charge, instances));

    /// <summary>Nothing is counted any more, and nothing is under way.</summary>
    public bool IsIdle(long now) => Asked == 0 && Taken == 0 && IsEmpty(now) && (_aside is null || _aside.IsEmpty(now));

    /// <summary>Nothing is counted any more.</summary>
    protected abstract bool IsEmpty(long now);

    /// <summary>
    /// A single instance's share of a small limit may be less than one request: that one is admitted where nothing else is counted, unless
    /// nothing may ever be over.
    /// </summary>
    protected static bool MayPassAlone(Charge charge, long cost) => charge.Limit > 0 && cost > charge.Cost && !charge.Policy.IsStrict;

    private static long Aside(Charge charge, int instances) => charge.Cost * instances * LimitMath.Quarter;
}
