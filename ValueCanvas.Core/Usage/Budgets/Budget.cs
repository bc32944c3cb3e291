namespace ValueCanvas.Core.Usage.Budgets;

/// <summary>What a tenant, or one of its API keys, may cost in a period.</summary>
/// <param name="TenantId">Whose.</param>
/// <param name="ApiKeyId">Null: of the whole tenant.</param>
/// <param name="Amount">US dollars.</param>
/// <param name="Period">After which it begins anew.</param>
/// <param name="Mode">What is reserved before a call.</param>
/// <param name="AlertAt">Percent of it that somebody wants to be told of, ascending.</param>
public sealed record Budget(
    Guid TenantId, Guid? ApiKeyId, decimal Amount, BudgetPeriod Period, BudgetMode Mode, IReadOnlyList<int> AlertAt)
{
    public static readonly int[] UsualAlerts = [50, 80, 100];

    /// <summary>Whose, in a text: <c>tenant</c> or <c>key:ID</c>.</summary>
    public string Subject => ApiKeyId is { } key ? $"key:{key}" : "tenant";
}

public enum BudgetMode
{
    /// <summary>What the call usually costs: never refuses what would have fitted, and may overshoot by what was underestimated in
    /// flight.</summary>
    Estimate,

    /// <summary>The most that the call can cost.</summary>
    Strict,
}

public enum BudgetPeriod
{
    Day,

    /// <summary>From Monday on.</summary>
    Week,
    Month,

    /// <summary>Never begins anew.</summary>
    Total,
}

/// <summary>Periods by the calendar of UTC.</summary>
public static class BudgetPeriods
{
    private static readonly DateOnly Ever = new(2000, 1, 1);

    public static string ToName(this BudgetPeriod period) => period.ToString().ToLowerInvariant();

    public static BudgetPeriod Parse(string name) => Enum.Parse<BudgetPeriod>(name, ignoreCase: true);

    /// <summary>The first day of the period that a moment is in.</summary>
    public static DateOnly StartOf(this BudgetPeriod period, DateTimeOffset moment)
    {
        var day = DateOnly.FromDateTime(moment.UtcDateTime);
        return period switch
        {
            BudgetPeriod.Day => day,
            BudgetPeriod.Week => day.AddDays(-(((int)day.DayOfWeek + 6) % 7)),
            BudgetPeriod.Month => new DateOnly(day.Year, day.Month, 1),
            _ => Ever,
        };
    }

    /// <summary>When the next one begins; null: never.</summary>
    public static DateTimeOffset? EndOf(this BudgetPeriod period, DateTimeOffset moment)
    {
        var start = period.StartOf(moment);
        DateOnly? end = period switch
        {
            BudgetPeriod.Day => start.AddDays(1),
            BudgetPeriod.Week => start.AddDays(7),
            BudgetPeriod.Month => start.AddMonths(1),
            _ => null,
        };
        return end is { } day ? new DateTimeOffset(day.ToDateTime(TimeOnly.MinValue), TimeSpan.Zero) : null;
    }
}
