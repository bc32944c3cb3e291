using System.Text.Json;
using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>
/// Recognises answers by which a model declines a request that another model may take: a prompt that does not fit its context window, or
/// content that its provider's policy does not let through. Providers say so in codes and, where they have none, in fixed phrases.
/// </summary>
internal static class Declines
{
    private const int Deepest = 5;

    private static readonly JsonReaderOptions Reading = new() { MaxDepth = 64 };

    private static readonly string[] ContextCodes = ["context_length_exceeded", "exceed_context_size_error"];

    // In their order: OpenAI, DeepSeek and vLLM; vLLM; Ollama; llama.cpp; Gemini; Anthropic; Together.
    private static readonly string[] ContextPhrases =
    [
        "maximum context length", "longer than the maximum model length", "exceeds the context length",
        "exceeds the available context size", "exceeds the maximum number of tokens", "prompt is too long",
        "exceed context limit", "`max_new_tokens` must be <=",
    ];

    private static readonly string[] PolicyCodes =
    [
        "content_policy_violation", "content_filter", "ResponsibleAIPolicyViolation", "moderation_blocked", "invalid_prompt",
        "PROHIBITED_CONTENT",
    ];

    // Azure, Anthropic, OpenAI, DeepSeek.
    private static readonly string[] PolicyPhrases =
        ["content management policy", "content filtering policy", "violating our usage policy", "Content Exists Risk"];

    private static ReadOnlySpan<byte> Filtered => "\"content_filter"u8; // Gemini adds which one: "content_filter: SAFETY"

    /// <summary>From a whole answer, or its first bytes: an error with its status, or an answer whose text was filtered out.</summary>
    public static AttemptFailure Of(int status, ReadOnlySpan<byte> body) => status switch
    {
        400 or 403 or 413 or 422 => OfError(body),
        200 when body.IndexOf(Filtered) >= 0 => OfFiltered(body),
        _ => AttemptFailure.None,
    };

    /// <summary>From the events that came before any content.</summary>
    public static AttemptFailure OfEvents(ReadOnlySpan<byte> events)
    {
        foreach (var range in events.Split((byte)'\n'))
        {
            if (events[range].StartsWith("data:"u8) && events[range][5..].Trim(" \r"u8) is [(byte)'{', ..] data)
            {
                var failure = data.IndexOf(Filtered) >= 0 ? OfFiltered(data) : OfError(data);
                if (failure != AttemptFailure.None)
                    return failure;
            }
        }

        return AttemptFailure.None;
    }

    private static AttemptFailure OfError(ReadOnlySpan<byte> body)
    {
        try
        {
            var reader = new Utf8JsonReader(body, Reading);
            while (reader.Read())
            {
                if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth > Deepest)
                    continue;

                var isCode = reader.ValueTextEquals("code"u8) || reader.ValueTextEquals("type"u8) || reader.ValueTextEquals("status"u8);
                var isMessage = reader.ValueTextEquals("message"u8) || reader.ValueTextEquals("error"u8); // Ollama's error is a string
                reader.Read();
                if ((isCode || isMessage) && reader.TokenType == JsonTokenType.String && Meaning(reader.GetString()!, isCode) is var failure
                    && failure != AttemptFailure.None)
                {
                    return failure;
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Not an error object, or not all of one, or half of a surrogate pair.
        }

        return AttemptFailure.None;
    }

    private static AttemptFailure Meaning(string text, bool isCode)
    {
        var (context, policy) = isCode ? (ContextCodes, PolicyCodes) : (ContextPhrases, PolicyPhrases);
        return Array.Exists(context, Says) ? AttemptFailure.ContextWindow
            : Array.Exists(policy, Says) ? AttemptFailure.ContentPolicy
            : AttemptFailure.None;

        bool Says(string known) =>
            isCode ? text.Equals(known, StringComparison.OrdinalIgnoreCase) : text.Contains(known, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>An answer is declined when the filter left nothing of it.</summary>
    private static AttemptFailure OfFiltered(ReadOnlySpan<byte> answer)
    {
        try
        {
            var reader = new Utf8JsonReader(answer, Reading);
            using var document = JsonDocument.ParseValue(ref reader);
            return document.RootElement.TryGetProperty("choices", out var choices) && choices.GetArrayLength() > 0
                && choices.EnumerateArray().All(IsEmptied)
                    ? AttemptFailure.ContentPolicy
                    : AttemptFailure.None;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return AttemptFailure.None;
        }
    }

    private static bool IsEmptied(JsonElement choice) =>
        choice.TryGetProperty("finish_reason", out var reason) && reason.ValueKind == JsonValueKind.String
        && reason.GetString()!.StartsWith("content_filter", StringComparison.Ordinal)
        && (choice.TryGetProperty("message", out var said) || choice.TryGetProperty("delta", out said)
            ? said.ValueKind != JsonValueKind.Object
                || said.EnumerateObject().All(field => field.NameEquals("role"u8) || IsNothing(field.Value))
            : !choice.TryGetProperty("text", out var text) || IsNothing(text));

    private static bool IsNothing(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => true,
        JsonValueKind.String => value.ValueEquals(""u8),
        JsonValueKind.Array => value.GetArrayLength() == 0,
        _ => false,
    };
}
