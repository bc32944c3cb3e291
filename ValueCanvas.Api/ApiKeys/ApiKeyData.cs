using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.ApiKeys;

/// <summary>
/// A key as the API shows it. <c>key</c> is the whole of it, in the answer that made it and never again; <c>previousValidUntil</c> is there
/// while the secret of before the last rotation goes on.
/// </summary>
internal sealed record ApiKeyData(
    Guid Id,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Key,
    string Name,
    string Prefix,
    string Environment,
    IReadOnlyList<string> Scopes,
    IReadOnlyList<string>? Models,
    ApiKeyBudget? Budget,
    Guid CreatedBy,
    DateTimeOffset CreatedAt,
    DateTimeOffset? ExpiresAt,
    DateTimeOffset? LastUsedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? PreviousValidUntil)
{
    public static ApiKeyData From(ApiKeyRow row, string? key = null) => new(
        row.Id,
        key,
        row.Name,
        row.Prefix,
        row.Environment,
        row.Scopes,
        row.Models,
        row.BudgetAmount is { } amount ? new(amount, row.BudgetPeriod) : null,
        row.CreatedBy,
        row.CreatedAt,
        row.ExpiresAt,
        row.LastUsedAt,
        row.PreviousUntil);
}

/// <summary>A page of the list; <c>nextCursor</c> asks for the following one and is null on the last.</summary>
internal sealed record ApiKeyPage(IReadOnlyList<ApiKeyData> Items, string? NextCursor);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ApiKeyBody))]
[JsonSerializable(typeof(RotationBody))]
[JsonSerializable(typeof(Envelope<ApiKeyData>))]
[JsonSerializable(typeof(Envelope<ApiKeyPage>))]
internal sealed partial class ApiKeyContext : JsonSerializerContext;
