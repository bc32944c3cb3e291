using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Usage.Budgets;

namespace ValueCanvas.Api.Usage;

/// <summary>Body of <c>PUT /api/usage/budget</c>: what the tenant may cost, in US dollars.</summary>
internal sealed record BudgetBody(decimal? Amount, string? Period, string? Mode, IReadOnlyList<int>? AlertAt) : IRequestBody
{
    private const decimal Most = 1_000_000_000;
    private const int MostAlerts = 10;

    private static readonly string[] Periods = ["day", "week", "month", "total"];
    private static readonly string[] Modes = ["estimate", "strict"];

    public int[] Alerts => AlertAt is null ? Budget.UsualAlerts : [.. AlertAt.Distinct().Order()];

    public void Validate(RequestErrors errors)
    {
        if (Amount is not (> 0 and <= Most) || decimal.Round(Amount.Value, 4) != Amount)
            errors.Add("amount", $"must be more than 0 and at most {Most}, in US dollars, with at most four decimals");
        if (!Periods.Contains(Period))
            errors.Add("period", $"must be one of: {string.Join(", ", Periods)}");
        if (Mode is not null && !Modes.Contains(Mode))
            errors.Add("mode", $"must be one of: {string.Join(", ", Modes)}");
        if (AlertAt is { Count: > MostAlerts } || AlertAt?.Any(percent => percent is < 1 or > 1000) == true)
            errors.Add("alertAt", $"must be at most {MostAlerts} percentages between 1 and 1000");
    }
}

/// <summary>A budget and what has been spent of it in the period of now. <c>apiKeyId</c> is null for the tenant's own.</summary>
internal sealed record BudgetData(
    Guid? ApiKeyId, decimal Amount, string Period, string Mode, IReadOnlyList<int> AlertAt, bool Locked, decimal Spent, decimal Remaining,
    DateOnly PeriodStart, DateTimeOffset? ResetsAt);

internal sealed record BudgetList(BudgetData? Tenant, IReadOnlyList<BudgetData> Keys);

/// <summary>A threshold, in percent, that was crossed.</summary>
internal sealed record AlertData(
    Guid? ApiKeyId, string Period, DateOnly PeriodStart, int Threshold, decimal Amount, decimal Spent, DateTimeOffset CreatedAt);
