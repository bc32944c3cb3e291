using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Usage;

/// <summary>Sums of the tenant's calls. Money is US dollars; <c>replicaCost</c> is what our own replicas' time cost the house.</summary>
internal sealed record UsageReport(DateOnly From, DateOnly To, IReadOnlyList<string> By, IReadOnlyList<UsageItem> Items, UsageItem Total);

/// <summary>Of the dimensions only those are there that it was summed by; a key or a prompt is null for calls that had none.</summary>
internal sealed record UsageItem(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateOnly? Day,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Model,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Provider,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Guid? ApiKeyId,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Prompt,
    long Calls,
    long Failed,
    long Cached,
    long InputTokens,
    long CachedTokens,
    long OutputTokens,
    long ReasoningTokens,
    decimal Cost,
    double ReplicaSeconds,
    decimal ReplicaCost);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Envelope<UsageReport>))]
[JsonSerializable(typeof(BudgetBody))]
[JsonSerializable(typeof(Envelope<BudgetList>))]
[JsonSerializable(typeof(Envelope<BudgetData>))]
[JsonSerializable(typeof(Envelope<IReadOnlyList<AlertData>>))]
[JsonSerializable(typeof(PriceBody))]
[JsonSerializable(typeof(Envelope<PriceData>))]
[JsonSerializable(typeof(Envelope<IReadOnlyList<PriceData>>))]
internal sealed partial class UsageContext : JsonSerializerContext;
