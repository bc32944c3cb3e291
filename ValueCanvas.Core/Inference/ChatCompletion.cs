namespace ValueCanvas.Core.Inference;

/// <summary>A finished answer.</summary>
/// <param name="Text">All of it; empty where the model said nothing.</param>
/// <param name="Model">The model that answered, by the name its server gives it.</param>
/// <param name="Provider">Who served it, as the proxy names it; null where the proxy did not say.</param>
/// <param name="FinishReason"><c>stop</c>, <c>length</c>, <c>tool_calls</c> or <c>content_filter</c>.</param>
/// <param name="Usage">Tokens as reported by the model server; null where it reported none.</param>
public sealed record ChatCompletion(string Text, string Model, string? Provider, string FinishReason, TokenUsage? Usage);

/// <summary>
/// Tokens of one call. <paramref name="CachedInputTokens"/> are a part of <paramref name="InputTokens"/>, and
/// <paramref name="ReasoningTokens"/> of <paramref name="OutputTokens"/>.
/// </summary>
public sealed record TokenUsage(int InputTokens, int OutputTokens, int CachedInputTokens, int ReasoningTokens = 0)
{
    public int TotalTokens => InputTokens + OutputTokens;
}

/// <summary>
/// One step of a streamed answer: a piece of text, or, exactly once and last, the whole completion with an empty piece.
/// </summary>
public readonly record struct ChatDelta(string Text, ChatCompletion? Completion = null);
