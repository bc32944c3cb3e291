using System.Buffers;
using System.Net;
using System.Text.Encodings.Web;
using System.Text.Json;
using static ValueCanvas.InferenceProxy.Providers.Anthropic.AnthropicRequest;

namespace ValueCanvas.InferenceProxy.Providers.Anthropic;

/// <summary>Anthropic's whole answers and errors as OpenAI's.</summary>
internal static class AnthropicAnswer
{
    internal static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <exception cref="JsonException">The answer is not a message.</exception>
    public static byte[] Translate(ReadOnlyMemory<byte> body, long created, bool native)
    {
        using var document = JsonDocument.Parse(body);
        var message = document.RootElement;
        var blocks = Get(message, "content", JsonValueKind.Array) ?? throw new JsonException("no content");
        var text = string.Concat(OfType(blocks, "text").Select(block => Text(block, "text")));
        var thinking = string.Concat(OfType(blocks, "thinking").Select(block => Text(block, "thinking")));
        var calls = OfType(blocks, "tool_use").ToArray();
        var buffer = new ArrayBufferWriter<byte>(body.Length + 256);
        using (var json = new Utf8JsonWriter(buffer, Writing))
        {
            json.WriteStartObject();
            json.WriteString("id"u8, Text(message, "id"));
            json.WriteString("object"u8, "chat.completion"u8);
            json.WriteNumber("created"u8, created);
            json.WriteString("model"u8, Text(message, "model"));
            json.WriteStartArray("choices"u8);
            json.WriteStartObject();
            json.WriteNumber("index"u8, 0);
            json.WriteStartObject("message"u8);
            json.WriteString("role"u8, "assistant"u8);
            json.WriteString("content"u8, text.Length > 0 || calls.Length == 0 ? text : null);
            json.WriteNull("refusal"u8);
            if (thinking.Length > 0)
                json.WriteString("reasoning"u8, thinking);

            WriteCalls(json, calls);
            json.WriteEndObject();
            json.WriteNull("logprobs"u8);
            json.WriteString("finish_reason"u8, FinishReason(Text(message, "stop_reason")) ?? "stop");
            json.WriteEndObject();
            json.WriteEndArray();
            if (Get(message, "usage", JsonValueKind.Object) is { } usage)
            {
                json.WritePropertyName("usage"u8);
                default(AnthropicUsage).With(usage).Write(json);
            }

            if (native)
            {
                json.WritePropertyName(AnthropicExchange.Native);
                json.WriteRawValue(body.Span);
            }

            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>An error body of either shape as OpenAI's error object.</summary>
    public static byte[] TranslateError(ReadOnlyMemory<byte> body, HttpStatusCode status)
    {
        JsonElement? error = null;
        try
        {
            using var document = JsonDocument.Parse(body);
            error = Get(document.RootElement, "error", JsonValueKind.Object)?.Clone();
        }
        catch (JsonException)
        {
            // Something in between answered, in a language of its own.
        }

        return Error(error, (int)status);
    }

    public static byte[] Error(JsonElement? error, int status)
    {
        var type = error is { } known ? Text(known, "type") : null;
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, Writing))
        {
            json.WriteStartObject();
            json.WriteStartObject("error"u8);
            json.WriteString("message"u8, (error is { } given ? Text(given, "message") : null) ?? $"The provider answered {status}.");
            json.WriteString("type"u8, type switch
            {
                "rate_limit_error" => "rate_limit_error",
                "invalid_request_error" or "not_found_error" or "request_too_large" => "invalid_request_error",
                null => status < 500 ? "invalid_request_error" : "server_error",
                _ => "server_error",
            });
            json.WriteNull("param"u8);
            json.WriteString("code"u8, type switch
            {
                "rate_limit_error" => "rate_limit_exceeded",
                "not_found_error" => "model_not_found",
                _ => type,
            });
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    public static string? FinishReason(string? stopReason) => stopReason switch
    {
        null => null,
        "max_tokens" or "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        _ => "stop",
    };

    private static IEnumerable<JsonElement> OfType(JsonElement blocks, string type) =>
        blocks.EnumerateArray().Where(block => Text(block, "type") == type);

    private static void WriteCalls(Utf8JsonWriter json, JsonElement[] calls)
    {
        if (calls.Length == 0)
            return;

        json.WriteStartArray("tool_calls"u8);
        foreach (var call in calls)
        {
            json.WriteStartObject();
            json.WriteString("id"u8, Text(call, "id"));
            json.WriteString("type"u8, "function"u8);
            json.WriteStartObject("function"u8);
            json.WriteString("name"u8, Text(call, "name"));
            json.WriteString("arguments"u8, Get(call, "input", JsonValueKind.Object)?.GetRawText() ?? "{}");
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}

/// <summary>Token counts. Anthropic's input tokens are those that were neither read from nor written to its cache; OpenAI's are all of
/// them.</summary>
internal readonly record struct AnthropicUsage(long Input, long CacheRead, long CacheWrite, long Output)
{
    /// <summary>Counts are cumulative: each report replaces the numbers it names.</summary>
    public AnthropicUsage With(JsonElement usage) => new(
        Number(usage, "input_tokens") ?? Input,
        Number(usage, "cache_read_input_tokens") ?? CacheRead,
        Number(usage, "cache_creation_input_tokens") ?? CacheWrite,
        Number(usage, "output_tokens") ?? Output);

    public void Write(Utf8JsonWriter json)
    {
        var prompt = Input + CacheRead + CacheWrite;
        json.WriteStartObject();
        json.WriteNumber("prompt_tokens"u8, prompt);
        json.WriteNumber("completion_tokens"u8, Output);
        json.WriteNumber("total_tokens"u8, prompt + Output);
        json.WriteStartObject("prompt_tokens_details"u8);
        json.WriteNumber("cached_tokens"u8, CacheRead);
        json.WriteNumber("cache_write_tokens"u8, CacheWrite);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static long? Number(JsonElement parent, string name) =>
        Get(parent, name, JsonValueKind.Number) is { } number && number.TryGetInt64(out var value) ? value : null;
}
