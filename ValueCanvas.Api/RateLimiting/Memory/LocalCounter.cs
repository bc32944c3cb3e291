namespace ValueCanvas.Api.RateLimiting.Memory;

/// <summary>
/// A count in memory, in the units of the whole system: while Redis counts it follows what Redis says; while Redis is away a request here
/// costs as much as one at each instance. Locked by its callers.
/// </summary>
internal abstract class LocalCounter
{
    private static long _last;

    /// <summary>Counters are locked in this order.</summary>
    public long Order { get; } = Interlocked.Increment(ref _last);

    public Lock Gate { get; } = new();

    /// <summary>Has counted something that Redis does not know.</summary>
    public bool IsAhead { get; set; }

    /// <summary>Nobody finds it any more.</summary>
    public bool IsGone { get; set; }

    /// <summary>The epoch of Redis in which it followed last.</summary>
    public long Epoch { get; set; }

    /// <summary>Whether a cost fits; nothing is changed but what time changes.</summary>
    public abstract Reading Look(Charge charge, long cost, long now);

    /// <summary>Counts what fits, and says how it stands then.</summary>
    public abstract Reading Take(Charge charge, long cost, long now, string id);

    /// <summary>Gives back a part of an earlier charge, never more of it than is still counted.</summary>
    public abstract void Refund(Charge charge, long amount, long now, long place, long refunds);

    /// <summary>Counts whatever the limit says: a debt.</summary>
    public abstract void Add(Charge charge, long amount, long now);

    /// <summary>Takes over the level that Redis told.</summary>
    public abstract void Follow(Charge charge, long level, long reset, long now);

    /// <summary>The level, as Redis' script takes it to restore it.</summary>
    public abstract long Level(Charge charge, long now);

    /// <summary>Nothing is counted any more.</summary>
    public abstract bool IsEmpty(long now);

    /// <summary>
    /// A single instance's share of a small limit may be less than one request: that one is admitted where nothing else is counted, unless
    /// nothing may ever be over.
    /// </summary>
    protected static bool MayPassAlone(Charge charge, long cost) => charge.Limit > 0 && cost > charge.Cost && !charge.Policy.IsStrict;
}
