using System.Text.Json;
using System.Text.Json.Serialization;

namespace ValueCanvas.Core.Inference;

// The part of OpenAI's chat completion API that the platform itself speaks (openai-openapi, "Chat").
internal sealed record WireRequest(
    string Model,
    IReadOnlyList<ChatMessage> Messages,
    double? Temperature,
    int? MaxTokens,
    WireResponseFormat? ResponseFormat,
    string? User,
    bool? Stream,
    WireStreamOptions? StreamOptions);

internal sealed record WireResponseFormat(string Type, WireJsonSchema JsonSchema);

internal sealed record WireJsonSchema(string Name, JsonElement Schema, bool Strict);

internal sealed record WireStreamOptions(bool IncludeUsage);

/// <summary>A completion (with messages) and a chunk of one (with deltas) differ only in that.</summary>
internal sealed record WireAnswer(string? Model, IReadOnlyList<WireChoice>? Choices, WireUsage? Usage, WireError? Error);

internal sealed record WireChoice(int Index, WireContent? Message, WireContent? Delta, string? FinishReason);

internal sealed record WireContent(string? Content, string? Refusal);

internal sealed record WireUsage(
    int PromptTokens, int CompletionTokens, WirePromptDetails? PromptTokensDetails, WireCompletionDetails? CompletionTokensDetails)
{
    public TokenUsage ToUsage() => new(
        PromptTokens, CompletionTokens, PromptTokensDetails?.CachedTokens ?? 0, CompletionTokensDetails?.ReasoningTokens ?? 0);
}

internal sealed record WirePromptDetails(int? CachedTokens);

internal sealed record WireCompletionDetails(int? ReasoningTokens);

internal sealed record WireFailure(WireError? Error);

/// <summary><c>Code</c> is a string at OpenAI and a number at some servers.</summary>
internal sealed record WireError(string? Message, string? Type, JsonElement Code);

internal sealed record WireHealth(string? Status);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(WireRequest))]
[JsonSerializable(typeof(WireAnswer))]
[JsonSerializable(typeof(WireFailure))]
[JsonSerializable(typeof(WireHealth))]
[JsonSerializable(typeof(WireUsage))]
[JsonSerializable(typeof(string))]
internal sealed partial class WireContext : JsonSerializerContext;
