namespace ValueCanvas.Api.ApiKeys;

/// <summary>A key as it is stored, without its secrets.</summary>
internal sealed record ApiKeyRow(
    Guid Id,
    Guid CreatedBy,
    string Name,
    string Environment,
    string[] Scopes,
    string[]? Models,
    decimal? BudgetAmount,
    string? BudgetPeriod,
    DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt,
    DateTimeOffset? LastUsedAt,
    string Prefix,
    DateTimeOffset? PreviousUntil);
