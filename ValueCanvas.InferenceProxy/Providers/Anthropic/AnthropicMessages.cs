using System.Text.Json;
using static ValueCanvas.InferenceProxy.Providers.Anthropic.AnthropicRequest;

namespace ValueCanvas.InferenceProxy.Providers.Anthropic;

/// <summary>The conversation of a chat completion request as messages with content blocks.</summary>
internal static class AnthropicMessages
{
    public static void Write(Utf8JsonWriter json, JsonElement messages)
    {
        json.WriteStartArray("messages"u8);
        string? open = null;
        foreach (var message in messages.EnumerateArray())
        {
            var role = Text(message, "role") switch
            {
                "system" or "developer" => null,
                "user" or "tool" or "function" => "user",
                "assistant" => "assistant",
                _ => throw Wrong("Each message must have the role system, developer, user, assistant or tool.", "messages"),
            };
            if (role is null)
                continue;

            if (role != open)
            {
                Close(json, open);
                json.WriteStartObject();
                json.WriteString("role"u8, role);
                json.WriteStartArray("content"u8);
                open = role;
            }

            WriteBlocks(json, message);
        }

        Close(json, open);
        json.WriteEndArray();
    }

    /// <summary>The texts of a message, whether it is one string or parts.</summary>
    public static IEnumerable<string> Texts(JsonElement message)
    {
        if (Text(message, "content") is { } text)
            return [text];

        return Get(message, "content", JsonValueKind.Array)
            ?.EnumerateArray().Select(part => Text(part, "text") ?? Text(part, "refusal")).OfType<string>() ?? [];
    }

    private static void Close(Utf8JsonWriter json, string? open)
    {
        if (open is not null)
        {
            json.WriteEndArray();
            json.WriteEndObject();
        }
    }

    private static void WriteBlocks(Utf8JsonWriter json, JsonElement message)
    {
        if (Text(message, "role") is "tool" or "function")
        {
            json.WriteStartObject();
            json.WriteString("type"u8, "tool_result"u8);
            json.WriteString("tool_use_id"u8, Text(message, "tool_call_id")
                ?? throw Wrong("A message of role 'tool' must have a tool_call_id.", "messages"));
            json.WriteString("content"u8, string.Concat(Texts(message)));
            json.WriteEndObject();
            return;
        }

        if (Get(message, "content", JsonValueKind.Array) is { } parts)
        {
            foreach (var part in parts.EnumerateArray())
                WritePart(json, part);
        }
        else if (Text(message, "content") is { Length: > 0 } text)
        {
            WriteText(json, text);
        }

        foreach (var call in Get(message, "tool_calls", JsonValueKind.Array)?.EnumerateArray().ToArray() ?? [])
            WriteCall(json, call);
    }

    private static void WritePart(Utf8JsonWriter json, JsonElement part)
    {
        switch (Text(part, "type"))
        {
            case "text":
                WriteText(json, Text(part, "text") ?? "");
                break;
            case "refusal":
                WriteText(json, Text(part, "refusal") ?? "");
                break;
            case "image_url" when Get(part, "image_url", JsonValueKind.Object) is { } image && Text(image, "url") is { } url:
                WriteImage(json, url);
                break;
            default:
                throw Wrong("This model takes content parts of type text and image_url only.", "messages");
        }
    }

    private static void WriteText(Utf8JsonWriter json, string text)
    {
        if (text.Length > 0) // empty blocks are refused there
        {
            json.WriteStartObject();
            json.WriteString("type"u8, "text"u8);
            json.WriteString("text"u8, text);
            json.WriteEndObject();
        }
    }

    private static void WriteImage(Utf8JsonWriter json, string url)
    {
        json.WriteStartObject();
        json.WriteString("type"u8, "image"u8);
        json.WriteStartObject("source"u8);
        if (url.StartsWith("data:", StringComparison.OrdinalIgnoreCase))
        {
            var comma = url.IndexOf(";base64,", StringComparison.OrdinalIgnoreCase);
            if (comma < 0)
                throw Wrong("An image in a data URL must be base64: data:image/png;base64,…", "messages");

            json.WriteString("type"u8, "base64"u8);
            json.WriteString("media_type"u8, url.AsSpan("data:".Length, comma - "data:".Length));
            json.WriteString("data"u8, url.AsSpan(comma + ";base64,".Length));
        }
        else
        {
            json.WriteString("type"u8, "url"u8);
            json.WriteString("url"u8, url);
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteCall(Utf8JsonWriter json, JsonElement call)
    {
        var function = Get(call, "function", JsonValueKind.Object) ?? throw Wrong("Each of 'tool_calls' must have a function.", "messages");
        json.WriteStartObject();
        json.WriteString("type"u8, "tool_use"u8);
        json.WriteString("id"u8, Text(call, "id") ?? throw Wrong("Each of 'tool_calls' must have an id.", "messages"));
        json.WriteString("name"u8, Text(function, "name") ?? throw Wrong("Each function of 'tool_calls' must have a name.", "messages"));
        json.WritePropertyName("input"u8);
        var arguments = Text(function, "arguments");
        try
        {
            using var input = JsonDocument.Parse(string.IsNullOrWhiteSpace(arguments) ? "{}" : arguments);
            if (input.RootElement.ValueKind != JsonValueKind.Object)
                throw Wrong("The arguments of a tool call must be a JSON object.", "messages");

            input.RootElement.WriteTo(json);
        }
        catch (JsonException)
        {
            throw Wrong("The arguments of a tool call must be a JSON object.", "messages");
        }

        json.WriteEndObject();
    }
}
