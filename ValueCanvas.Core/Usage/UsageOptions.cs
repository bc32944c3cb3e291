namespace ValueCanvas.Core.Usage;

/// <summary>How calls of models are counted, priced and limited; configuration section <c>Usage</c>.</summary>
public sealed class UsageOptions
{
    public const string Section = "Usage";

    /// <summary>
    /// Where rows wait on disk while PostgreSQL is away, and where it is noted which calls are under way. It must outlive the process, and
    /// belongs to one machine; several instances may share it. Empty: <c>valuecanvas/usage</c> below the user's local data.
    /// </summary>
    public string Directory { get; set; } = "";

    /// <summary>So long PostgreSQL has to commit a group of rows; then they are kept on disk.</summary>
    public TimeSpan WriteTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Rows in one transaction at most.</summary>
    public int GroupSize { get; set; } = 500;

    /// <summary>How often PostgreSQL is tried again while rows wait on disk.</summary>
    public TimeSpan ReplayInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How often prices and budgets are asked for that were set elsewhere, and instances tell each other what they hold.</summary>
    public TimeSpan FollowInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long rows of <c>request_logs</c> are kept.</summary>
    public TimeSpan RequestLogRetention { get; set; } = TimeSpan.FromDays(30);

    /// <summary>How often a row of each of <c>system_metrics</c> is written.</summary>
    public TimeSpan MetricsInterval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Prices by model, beside those that operators set live, which count first.</summary>
    public List<PriceOptions> Prices { get; set; } = [];

    /// <summary>US dollars for an hour of one replica, by the name of our own provider: what a call costs the house.</summary>
    public Dictionary<string, decimal> ReplicaHour { get; set; } = [];

    public BudgetOptions Budgets { get; set; } = new();

    internal IEnumerable<string> Problems()
    {
        (string Name, TimeSpan Value)[] times =
            [(nameof(WriteTimeout), WriteTimeout), (nameof(ReplayInterval), ReplayInterval), (nameof(FollowInterval), FollowInterval),
            (nameof(MetricsInterval), MetricsInterval)];
        foreach (var (name, value) in times.Where(time => time.Value <= TimeSpan.Zero || time.Value > TimeSpan.FromMinutes(10)))
            yield return $"{Section}:{name} is {value}; give a time above zero and at most ten minutes, such as 00:00:02.";
        if (GroupSize is < 1 or > 10_000)
            yield return $"{Section}:{nameof(GroupSize)} is {GroupSize}; it must be between 1 and 10000.";
        for (var i = 0; i < Prices.Count; i++)
        {
            if (Prices[i].Problem() is { } problem)
                yield return $"{Section}:{nameof(Prices)}:{i} {problem}.";
        }

        foreach (var (provider, hour) in ReplicaHour.Where(hour => hour.Value < 0))
            yield return $"{Section}:{nameof(ReplicaHour)}:{provider} is {hour}; a price cannot be below 0.";
        foreach (var problem in Budgets.Problems())
            yield return problem;
    }
}

/// <summary>What a model costs from a day on, in US dollars per million tokens.</summary>
public sealed class PriceOptions
{
    /// <summary>As its server calls it; <c>*</c> at the end stands for anything.</summary>
    public string Model { get; set; } = "";

    /// <summary>As the proxy names it; empty: any.</summary>
    public string Provider { get; set; } = "";

    /// <summary>UTC; the price counts from the day's beginning until a later one does. Null: since ever.</summary>
    public DateOnly? From { get; set; }

    public decimal Input { get; set; }

    /// <summary>For prompt tokens that the provider had cached; null: as any others.</summary>
    public decimal? CachedInput { get; set; }

    public decimal Output { get; set; }

    /// <summary>For tokens of reasoning, which are a part of the output; null: as any others.</summary>
    public decimal? Reasoning { get; set; }

    internal string? Problem() =>
        string.IsNullOrWhiteSpace(Model) ? "has no Model"
        : new[] { Input, CachedInput, Output, Reasoning }.Any(price => price is < 0 or > 1_000_000) ? "has a price below 0 or above 1000000"
        : null;
}

/// <summary>How budgets are kept.</summary>
public sealed class BudgetOptions
{
    /// <summary>The part of the time in which a strict budget waits for calls under way to come in below what was reserved for
    /// them.</summary>
    public TimeSpan Wait { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Answer tokens that are reserved where the request names no limit, in strict mode.</summary>
    public int MaxOutputTokens { get; set; } = 16_384;

    /// <summary>Answer tokens that are reserved otherwise, if the request allows so many.</summary>
    public int UsualOutputTokens { get; set; } = 512;

    /// <summary>Redis must answer within this.</summary>
    public TimeSpan RedisTimeout { get; set; } = TimeSpan.FromMilliseconds(25);

    /// <summary>A reservation that nobody settled is given back after this: its process has died.</summary>
    public TimeSpan Lease { get; set; } = TimeSpan.FromMinutes(15);

    /// <summary>How many Apis and workers there are at most: while Redis is away each has this part of what is left of a strict
    /// budget.</summary>
    public int Instances { get; set; } = 4;

    /// <summary>How often what was spent is read from PostgreSQL again while a budget is used.</summary>
    public TimeSpan Refresh { get; set; } = TimeSpan.FromSeconds(5);

    internal IEnumerable<string> Problems()
    {
        const string section = $"{UsageOptions.Section}:{nameof(UsageOptions.Budgets)}";
        (string Name, TimeSpan Value, TimeSpan Most)[] times =
        [
            (nameof(Wait), Wait, TimeSpan.FromSeconds(30)), (nameof(RedisTimeout), RedisTimeout, TimeSpan.FromSeconds(5)),
            (nameof(Lease), Lease, TimeSpan.FromDays(1)), (nameof(Refresh), Refresh, TimeSpan.FromMinutes(10)),
        ];
        foreach (var (name, value, most) in times.Where(time => time.Value < TimeSpan.Zero || time.Value > time.Most))
            yield return $"{section}:{name} is {value}; give a time from zero to {most}.";
        if (MaxOutputTokens < 1 || UsualOutputTokens < 1 || Instances < 1)
            yield return $"{section}: {nameof(MaxOutputTokens)}, {nameof(UsualOutputTokens)} and {nameof(Instances)} must be above 0.";
    }
}
