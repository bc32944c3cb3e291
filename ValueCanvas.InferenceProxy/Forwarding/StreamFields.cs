using System.Buffers;
using System.Text;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Json;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>What matters of a request's other fields when it asks for a stream: the options that the gateway may add to, and whether the
/// answer can only be one plain text, so that another server can go on with it.</summary>
internal record struct StreamFields
{
    private const int LongestName = 48;

    /// <summary>The last <c>stream_options</c>: where a name stands twice, servers take the last.</summary>
    public JsonField Options { get; private set; }

    public JsonTokenType OptionsType { get; private set; }

    public bool HasEmptyOptions { get; private set; }

    /// <summary>They are such that nothing is added: the server shall refuse them, or reads them in a way of its own.</summary>
    public bool HasOddOptions { get; private set; }

    public JsonField IncludeUsage { get; private set; }

    public JsonField RunningUsage { get; private set; }

    public JsonField TokenIds { get; private set; }

    public bool WantsUsage { get; private set; }

    public bool WantsRunningUsage { get; private set; }

    public bool WantsTokenIds { get; private set; }

    /// <summary>Something may make the answer more than one plain text, or is not known here.</summary>
    public bool IsUnusual { get; private set; }

    /// <summary>Looks at the property that the reader stands on.</summary>
    public void Note(JsonWalker reader)
    {
        Span<char> text = stackalloc char[LongestName];
        if (reader.ValueSpan.Length > LongestName || Ascii.ToUtf16(reader.ValueSpan, text, out var length) != OperationStatus.Done)
        {
            IsUnusual = true;
            return;
        }

        ReadOnlySpan<char> name = text[..length];
        switch (reader.ValueIsEscaped ? reader.GetString() : name)
        {
            case "messages" or "prompt" or "max_tokens" or "max_completion_tokens" or "min_tokens" or "temperature" or "top_p" or "top_k"
                or "min_p" or "seed" or "stop" or "stop_token_ids" or "presence_penalty" or "frequency_penalty" or "repetition_penalty"
                or "logit_bias" or "ignore_eos" or "skip_special_tokens" or "spaces_between_special_tokens" or "allowed_token_ids"
                or "bad_words" or "user" or "metadata" or "store" or "service_tier" or "safety_identifier" or "prompt_cache_key"
                or "session_id" or "request_id" or "cache_salt" or "priority" or "parallel_tool_calls" or "reasoning_effort" or "verbosity"
                or "include_reasoning" or "chat_template_kwargs" or "chat_template" or "documents" or "add_special_tokens"
                or "thinking_token_budget" or "stream_interval":
                break;
            case "stream_options":
                ReadOptions(ref reader);
                break;
            case "return_token_ids":
                TokenIds = JsonField.Skip(ref reader);
                WantsTokenIds = reader.TokenType == JsonTokenType.True;
                break;
            case "n" or "best_of":
                reader.Read();
                IsUnusual |= !IsNothing(reader) && !(reader.TokenType == JsonTokenType.Number && reader.ValueSpan.SequenceEqual("1"u8));
                break;
            case "add_generation_prompt":
                reader.Read();
                IsUnusual |= reader.TokenType is not (JsonTokenType.True or JsonTokenType.Null);
                break;
            case "tool_choice" or "function_call":
                reader.Read();
                IsUnusual |= !IsNothing(reader) && !(reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("none"u8));
                break;
            case "response_format":
                reader.Read();
                IsUnusual |= !IsNothing(reader) && !IsText(reader);
                break;
            default:
                reader.Read();
                IsUnusual |= !IsNothing(reader);
                break;
        }
    }

    private void ReadOptions(ref JsonWalker reader)
    {
        var value = reader;
        value.Read();
        (OptionsType, HasEmptyOptions) = (value.TokenType, IsNothing(value));
        HasOddOptions = OptionsType is not (JsonTokenType.Null or JsonTokenType.StartObject);
        (IncludeUsage, RunningUsage, WantsUsage, WantsRunningUsage) = (default, default, false, false);
        Options = JsonField.Skip(ref reader);
        if (OptionsType != JsonTokenType.StartObject)
            return;

        while (value.Read() && value.TokenType == JsonTokenType.PropertyName)
        {
            if (value.ValueTextEquals("include_usage"u8))
            {
                IncludeUsage = JsonField.Skip(ref value);
                WantsUsage = IsYes(value);
            }
            else if (value.ValueTextEquals("continuous_usage_stats"u8))
            {
                RunningUsage = JsonField.Skip(ref value);
                WantsRunningUsage = IsYes(value);
            }
            else
            {
                value.Skip();
            }
        }

        HasOddOptions |= WantsRunningUsage && !WantsUsage; // vLLM ignores the one without the other: it must not come to life
    }

    private bool IsYes(in JsonWalker value)
    {
        HasOddOptions |= value.TokenType is not (JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null);
        return value.TokenType == JsonTokenType.True;
    }

    private static bool IsNothing(JsonWalker value) => value.TokenType switch
    {
        JsonTokenType.Null or JsonTokenType.False => true,
        JsonTokenType.String => value.ValueSpan.IsEmpty,
        JsonTokenType.Number => value.ValueSpan.SequenceEqual("0"u8),
        JsonTokenType.StartArray => value.Read() && value.TokenType == JsonTokenType.EndArray,
        JsonTokenType.StartObject => value.Read() && value.TokenType == JsonTokenType.EndObject,
        _ => false,
    };

    private static bool IsText(JsonWalker value) =>
        value.TokenType == JsonTokenType.StartObject
            && value.Read() && value.TokenType == JsonTokenType.PropertyName && value.ValueTextEquals("type"u8)
            && value.Read() && value.TokenType == JsonTokenType.String && value.ValueTextEquals("text"u8)
            && value.Read() && value.TokenType == JsonTokenType.EndObject;
}
