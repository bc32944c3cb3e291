using System.Text.Json.Serialization;
using ValueCanvas.Api.Requests;

namespace ValueCanvas.Api.ApiKeys;

/// <summary>Body of <c>POST /api/keys</c>; only the name is required.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ApiKeyBody(
    string? Name,
    IReadOnlyList<string?>? Scopes,
    IReadOnlyList<string?>? Models,
    ApiKeyBudget? Budget,
    DateTimeOffset? ExpiresAt,
    string? Environment) : IRequestBody
{
    public static readonly string[] Periods = ["day", "week", "month", "total"];

    private const int MaxNameLength = 100;
    private const int MaxModels = 200;
    private const int MaxModelLength = 256;
    private const decimal MaxBudget = 1_000_000_000;
    private static readonly string[] Environments = [ApiKeyText.Live, ApiKeyText.Test];

    public void Validate(RequestErrors errors)
    {
        if (string.IsNullOrWhiteSpace(Name))
            errors.Add("name", "is required: what the key is for");
        else if (Name.Length > MaxNameLength || Name.Any(char.IsControl))
            errors.Add("name", $"must have at most {MaxNameLength} characters, all of them printable");
        if (Scopes is { Count: 0 })
            errors.Add("scopes", "must not be empty; leave it out for what using models, canvases and the queue needs");
        for (var i = 0; i < Scopes?.Count; i++)
        {
            if (Scopes[i] is not { } scope || !Authentication.Scopes.All.Contains(scope))
                errors.Add($"scopes[{i}]", $"must be one of: {string.Join(", ", Authentication.Scopes.All.Order(StringComparer.Ordinal))}");
        }

        if (Models is { Count: 0 or > MaxModels })
            errors.Add("models", $"must have between 1 and {MaxModels} names; leave it out for all models");
        for (var i = 0; i < Models?.Count; i++)
        {
            if (string.IsNullOrWhiteSpace(Models[i]) || Models[i]!.Length > MaxModelLength)
            {
                errors.Add(
                    $"models[{i}]",
                    $"must be a model's name of at most {MaxModelLength} characters; * at its end stands for anything");
            }
        }

        if (Budget is { } budget && (budget.Amount is not (> 0 and <= MaxBudget) || decimal.Round(budget.Amount.Value, 4) != budget.Amount))
            errors.Add("budget.amount", $"must be more than 0 and at most {MaxBudget}, in US dollars, with at most four decimals");
        if (Budget is { } of && !Periods.Contains(of.Period))
            errors.Add("budget.period", $"must be one of: {string.Join(", ", Periods)}");
        if (Environment is not null && !Environments.Contains(Environment))
            errors.Add("environment", $"must be one of: {string.Join(", ", Environments)}");
    }
}

/// <summary>What a key may cost, in US dollars.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ApiKeyBudget(decimal? Amount, string? Period);

/// <summary>Body of <c>POST /api/keys/{id}/rotate</c>: for how long the secret of before goes on; 0: it ends now.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record RotationBody(int? OverlapSeconds) : IRequestBody
{
    private const int Default = 24 * 60 * 60;
    private const int Most = 30 * Default;

    public TimeSpan Overlap => TimeSpan.FromSeconds(OverlapSeconds ?? Default);

    public void Validate(RequestErrors errors)
    {
        if (OverlapSeconds is < 0 or > Most)
            errors.Add("overlapSeconds", $"must be between 0 and {Most}");
    }
}
