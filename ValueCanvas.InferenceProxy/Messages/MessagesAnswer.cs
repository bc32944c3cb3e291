using System.Buffers;
using System.Text;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Providers.Anthropic;
using static ValueCanvas.InferenceProxy.Providers.Anthropic.AnthropicRequest;

namespace ValueCanvas.InferenceProxy.Messages;

/// <summary>A whole chat completion as a message.</summary>
internal static class MessagesAnswer
{
    /// <exception cref="JsonException">The answer is not a chat completion.</exception>
    public static byte[] Translate(ReadOnlyMemory<byte> body)
    {
        using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 128 });
        var completion = document.RootElement;
        if (Get(completion, AnthropicExchange.Native, JsonValueKind.Object) is { } native)
            return Encoding.UTF8.GetBytes(native.GetRawText());

        var choice = Get(completion, "choices", JsonValueKind.Array) is { } choices && choices.GetArrayLength() > 0
            ? choices[0] : throw new JsonException("no choices");
        var message = Get(choice, "message", JsonValueKind.Object) ?? throw new JsonException("no message");
        var calls = Get(message, "tool_calls", JsonValueKind.Array)?.EnumerateArray().ToArray() ?? [];
        var buffer = new ArrayBufferWriter<byte>(body.Length + 256);
        using (var json = new Utf8JsonWriter(buffer, AnthropicAnswer.Writing))
        {
            json.WriteStartObject();
            WriteHead(json, completion);
            json.WriteStartArray("content"u8);
            WriteBlocks(json, message, calls);
            json.WriteEndArray();
            WriteStop(json, choice, calls.Length > 0, Text(message, "refusal") is { Length: > 0 });
            MessagesUsage.Write(json, MessagesUsage.Of(completion));
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>The count that vLLM's <c>/tokenize</c> or Anthropic gave.</summary>
    public static byte[] TranslateCount(ReadOnlyMemory<byte> body)
    {
        using var document = JsonDocument.Parse(body);
        var count = Get(document.RootElement, "count", JsonValueKind.Number) 
            ?? Get(document.RootElement, "input_tokens", JsonValueKind.Number)
            ?? throw new JsonException("no count");
        return [.. "{\"input_tokens\":"u8, .. Encoding.UTF8.GetBytes(count.GetRawText()), .. "}"u8];
    }

    /// <summary>What an answer and the start of a stream begin with.</summary>
    public static void WriteHead(Utf8JsonWriter json, JsonElement completion)
    {
        var id = Text(completion, "id") ?? "";
        json.WriteString("id"u8, id.StartsWith("chatcmpl-", StringComparison.Ordinal) ? $"msg_{id["chatcmpl-".Length..]}" : id);
        json.WriteString("type"u8, "message"u8);
        json.WriteString("role"u8, "assistant"u8);
        json.WriteString("model"u8, Text(completion, "model"));
    }

    /// <summary>Why it ended. Servers say "stop" to a call that was asked for by name, and vLLM says which of the client's strings it was.
    /// </summary>
    public static void WriteStop(Utf8JsonWriter json, JsonElement choice, bool called, bool refused)
    {
        var sequence = Text(choice, "stop_reason");
        var reason = Text(choice, "finish_reason") switch
        {
            "length" => "max_tokens",
            "content_filter" => "refusal",
            "tool_calls" or "function_call" => "tool_use",
            _ when refused => "refusal",
            _ when called => "tool_use",
            _ when sequence is not null => "stop_sequence",
            _ => "end_turn",
        };
        json.WriteString("stop_reason"u8, reason);
        json.WriteString("stop_sequence"u8, reason == "stop_sequence" ? sequence : null);
    }

    /// <summary>The model's reasoning, by the name that vLLM and others give it or the older one.</summary>
    public static string? Reasoning(JsonElement message) => Text(message, "reasoning") ?? Text(message, "reasoning_content");

    /// <summary>The head of a block of type tool_use, its input still missing.</summary>
    public static void WriteCallHead(Utf8JsonWriter json, JsonElement call)
    {
        json.WriteString("type"u8, "tool_use"u8);
        json.WriteString("id"u8, Text(call, "id") is { Length: > 0 } id ? id : $"toolu_{Guid.NewGuid():N}");
        json.WriteString("name"u8, Get(call, "function", JsonValueKind.Object) is { } function ? Text(function, "name") : null);
    }

    private static void WriteBlocks(Utf8JsonWriter json, JsonElement message, JsonElement[] calls)
    {
        WriteBlock(json, "thinking", Reasoning(message));
        WriteBlock(json, "text", Text(message, "content"));
        WriteBlock(json, "text", Text(message, "refusal"));
        foreach (var call in calls)
        {
            json.WriteStartObject();
            WriteCallHead(json, call);
            json.WritePropertyName("input"u8);
            WriteInput(json, Get(call, "function", JsonValueKind.Object) is { } function ? Text(function, "arguments") : null);
            json.WriteEndObject();
        }
    }

    private static void WriteBlock(Utf8JsonWriter json, string type, string? text)
    {
        if (string.IsNullOrEmpty(text))
            return;

        json.WriteStartObject();
        json.WriteString("type"u8, type);
        json.WriteString(type, text);
        if (type == "thinking")
        {
            json.WriteString("signature"u8, ""u8); // only Anthropic signs
        }

        json.WriteEndObject();
    }

    /// <summary>Arguments are text in a chat and an object here. What a model wrote wrongly, or was cut off in, goes on under a name that
    /// no tool has, so that the call fails where it can be told to the model.</summary>
    private static void WriteInput(Utf8JsonWriter json, string? arguments)
    {
        try
        {
            using var input = JsonDocument.Parse(string.IsNullOrWhiteSpace(arguments) ? "{}" : arguments);
            if (input.RootElement.ValueKind == JsonValueKind.Object)
            {
                input.RootElement.WriteTo(json);
                return;
            }
        }
        catch (JsonException)
        {
            // Told below.
        }

        json.WriteStartObject();
        json.WriteString("_invalid_json"u8, arguments);
        json.WriteEndObject();
    }
}
