namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>One of the paths that are forwarded, with the name that the GenAI conventions give it.</summary>
internal sealed record InferenceOperation(string Path, string Name)
{
    public static readonly InferenceOperation Chat = new("/v1/chat/completions", "chat");
    public static readonly InferenceOperation Completion = new("/v1/completions", "text_completion");
    public static readonly InferenceOperation Embeddings = new("/v1/embeddings", "embeddings");

    /// <summary>vLLM's, and Anthropic's own; clients ask for it at <c>/v1/messages/count_tokens</c>.</summary>
    public static readonly InferenceOperation CountTokens = new("/tokenize", "count_tokens");

    /// <summary>Those with the path that clients use, too.</summary>
    public static IReadOnlyList<InferenceOperation> All { get; } = [Chat, Completion, Embeddings];
}
