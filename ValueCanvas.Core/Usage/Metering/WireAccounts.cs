using System.Text.Json.Serialization;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Usage.Metering;

/// <summary>The proxy's accounts of a call. Counts are prompt, answer, and of these cached and reasoning.</summary>
internal sealed record WireAccounts(bool Whole, int[]? Usage, WireAttempt[]? Attempts);

internal sealed record WireAttempt(
    string? Target, string? Provider, string? Model, string? End, bool Hedge, bool Answer, double Ms, double ReplicaMs, int[]? Usage)
{
    public static TokenUsage? ToUsage(int[]? counts) =>
        counts is [var prompt, var answer, var cached, var reasoning, ..] ? new(prompt, answer, cached, reasoning) : null;

    public InferenceAttempt ToAttempt() => new(
        Target ?? "", Provider ?? "", Model ?? "", End ?? "", Hedge, Answer, TimeSpan.FromMilliseconds(Ms),
            TimeSpan.FromMilliseconds(ReplicaMs),
        ToUsage(Usage));
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(WireAccounts))]
internal sealed partial class AccountsContext : JsonSerializerContext;
