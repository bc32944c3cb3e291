using System.Text.Json.Serialization;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Usage.Metering;

/// <summary>The usage in an answer, in OpenAI's words or in Anthropic's, whose input does not count what was cached.</summary>
internal sealed record WireAnswerUsage(
    int? PromptTokens,
    int? CompletionTokens,
    int? InputTokens,
    int? OutputTokens,
    int? CacheReadInputTokens,
    int? CacheCreationInputTokens,
    WireUsageDetails? PromptTokensDetails,
    WireUsageDetails? CompletionTokensDetails)
{
    public TokenUsage? ToUsage() => (PromptTokens, InputTokens) switch
    {
        ({ } prompt, _) => new(prompt, CompletionTokens ?? 0, PromptTokensDetails?.CachedTokens ?? 0,
            CompletionTokensDetails?.ReasoningTokens ?? 0),
        (_, { } input) => new(
            input + (CacheReadInputTokens ?? 0) + (CacheCreationInputTokens ?? 0), OutputTokens ?? 0, CacheReadInputTokens ?? 0),
        _ => null,
    };
}

internal sealed record WireUsageDetails(int? CachedTokens, int? ReasoningTokens);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(WireAnswerUsage))]
internal sealed partial class AnswerContext : JsonSerializerContext;
