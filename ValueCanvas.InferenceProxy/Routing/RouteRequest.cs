namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>What the choice of a replica needs to know of a request.</summary>
/// <param name="Model">The model, aliases resolved.</param>
/// <param name="Streamed">Whether the first bytes of the answer tell that the prompt is computed.</param>
/// <param name="PromptBytes">The prompt's length in the body.</param>
/// <param name="Prefix">The prompt's chain of hashes, where the policy looks at it.</param>
internal readonly record struct RouteRequest(string Model, bool Streamed, int PromptBytes, PromptPrefix? Prefix)
{
    // Bytes that are to be computed count until the first byte. Without a stream that comes with the last token, and most of the time
    // until then is not the prompt's.
    private const int UnseenPart = 8;

    public long Prefill(int cached) => Math.Max(0, (Prefix?.Bytes ?? PromptBytes) - cached) / (Streamed ? 1 : UnseenPart);
}
