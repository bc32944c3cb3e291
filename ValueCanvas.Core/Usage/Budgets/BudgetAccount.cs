namespace ValueCanvas.Core.Usage.Budgets;

/// <summary>
/// One budget in one of its periods, as this instance knows it: what PostgreSQL said was spent, what was spent here since, and what is
/// held here. In billionths of a US dollar.
/// </summary>
internal sealed class BudgetAccount(Budget budget, DateOnly start, DateTimeOffset? end)
{
    public const decimal NanosPerDollar = 1_000_000_000;

    private readonly Lock _gate = new();
    private long? _stored;
    private long _since;
    private long _held;
    private int _alertedAt;
    private long _shared;
    private (long Share, long Spent)? _alone;

    public Budget Budget => budget;

    public DateOnly Start => start;

    /// <summary>When it begins anew; null: never.</summary>
    public DateTimeOffset? End => end;

    public long Limit { get; } = ToNanos(budget.Amount);

    /// <summary>By which instances tell each other of it.</summary>
    public AccountName Name { get; } = AccountName.Of(budget, start);

    /// <summary>It goes on with a share of its own.</summary>
    public bool IsAlone
    {
        get
        {
            lock (_gate)
                return _alone is not null;
        }
    }

    public long UsedAt { get; set; }

    public long? RefreshedAt { get; set; }

    /// <summary>PostgreSQL has said what was spent.</summary>
    public bool IsLoaded => _stored is not null;

    /// <summary>As far as this instance knows.</summary>
    public long Spent
    {
        get
        {
            lock (_gate)
                return Known;
        }
    }

    private long Known => Math.Max((_stored ?? 0) + _since, _shared);

    public long Held
    {
        get
        {
            lock (_gate)
                return _held;
        }
    }

    public static long ToNanos(decimal dollars) => (long)Math.Min(decimal.Ceiling(dollars * NanosPerDollar), long.MaxValue / 4);

    public static decimal ToDollars(long nanos) => nanos / NanosPerDollar;

    /// <summary>
    /// Whether this instance may hold so much while nobody says what the others hold. Of a strict budget it has what it held when they lost
    /// each other, and its share of what was left then, until they meet again: together they cannot overspend.
    /// </summary>
    /// <param name="nanos">To be held.</param>
    /// <param name="instances">How many may be in the same case.</param>
    /// <param name="elsewhere">What the others held when they were heard last.</param>
    public bool Fits(long nanos, int instances, long elsewhere)
    {
        lock (_gate)
        {
            if (Known + _held + nanos > Limit)
                return false;
            if (budget.Mode != BudgetMode.Strict || instances == 1)
                return true;
            _alone ??= (_held + Math.Max(0, Limit - Known - _held - elsewhere) / instances, 0);
            return _alone is var (share, spent) && spent + _held + nanos <= share;
        }
    }

    /// <summary>Redis says again what all hold.</summary>
    public void Met()
    {
        lock (_gate)
            _alone = null;
    }

    public void Hold(long nanos)
    {
        lock (_gate)
            _held += nanos;
    }

    public void Settle(long held, long spent)
    {
        lock (_gate)
        {
            _held -= held;
            _since += spent;
            if (_alone is var (share, before))
                _alone = (share, before + spent);
        }
    }

    /// <summary>What all instances together have spent, as Redis counts it.</summary>
    public void Heard(long shared)
    {
        lock (_gate)
            _shared = Math.Max(_shared, shared);
    }

    /// <summary>To be called before PostgreSQL is asked: whatever was spent until then has its row.</summary>
    public long Mark()
    {
        lock (_gate)
            return _since;
    }

    public void Load(long stored, long mark)
    {
        lock (_gate)
            (_stored, _since) = (stored, _since - mark);
    }

    /// <summary>The highest threshold that was crossed and not told of here; null where there is none.</summary>
    public int? Crossed()
    {
        var percent = Spent * 100m / Limit;
        var crossed = budget.AlertAt.LastOrDefault(threshold => percent >= threshold);
        if (crossed <= _alertedAt)
            return null;
        _alertedAt = crossed;
        return crossed;
    }

    /// <summary>It could not be told: it counts as not crossed.</summary>
    public void Uncross(int threshold) => _alertedAt = Math.Min(_alertedAt, threshold - 1);
}
