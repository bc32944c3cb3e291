using System.Text.Json.Serialization;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>A row of <c>llm_usage</c>, as the function <c>record_usage</c> takes it. Holds no prompt, no answer and no secret.</summary>
internal sealed record UsageRow
{
    public required Guid Id { get; init; }

    public required Guid TenantId { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public Guid? UserId { get; init; }

    public Guid? ApiKeyId { get; init; }

    public Guid? JobId { get; init; }

    public int? JobQuestion { get; init; }

    public required string Route { get; init; }

    public string? PromptKey { get; init; }

    public string? PromptVersion { get; init; }

    /// <summary>What was asked for.</summary>
    public string? RequestedModel { get; init; }

    /// <summary>Who answered, by its server's name.</summary>
    public string? Model { get; init; }

    public string? Provider { get; init; }

    public bool Streamed { get; init; }

    /// <summary>One of <see cref="CallEnd"/>, in the database's words.</summary>
    public required string Status { get; init; }

    public int? HttpStatus { get; init; }

    public string Cache { get; init; } = "bypass";

    public int InputTokens { get; init; }

    public int CachedTokens { get; init; }

    public int OutputTokens { get; init; }

    public int ReasoningTokens { get; init; }

    public string UsageSource { get; init; } = "estimated";

    /// <summary>US dollars that the tenant pays; null where the model has no price.</summary>
    public decimal? Cost { get; init; }

    /// <summary>Time of our own replicas, that of hedges and failed attempts included, and what it cost the house.</summary>
    public double ReplicaSeconds { get; init; }

    public decimal? ReplicaCost { get; init; }

    public double LatencyMs { get; init; }

    public double? FirstByteMs { get; init; }

    public IReadOnlyList<AttemptRow>? Attempts { get; init; }

    /// <summary>The tenant owes something for it: its end waits for the row.</summary>
    [JsonIgnore]
    public bool IsBillable => Cost is > 0 || InputTokens + OutputTokens > 0;
}

/// <summary>A row of <c>llm_attempts</c>: what was done for a call beside its answer, or broke in it. No tenant is billed by it.</summary>
internal sealed record AttemptRow(
    int Number, string Target, string Provider, string Model, string Ended, bool Hedge, bool Answer, double TookMs, double ReplicaMs,
    int? InputTokens, int? OutputTokens);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(UsageRow))]
[JsonSerializable(typeof(List<UsageRow>))]
internal sealed partial class UsageRowContext : JsonSerializerContext;
