using System.Text.Json;
using static ValueCanvas.InferenceProxy.Providers.Anthropic.AnthropicRequest;

namespace ValueCanvas.InferenceProxy.Messages;

/// <summary>The conversation of a Messages request as a chat's messages. Tool results, here blocks of a user's message, are messages there.
/// </summary>
internal sealed class MessagesConversation(Utf8JsonWriter json)
{
    /// <summary>What was left out because only Anthropic understands it; null if nothing.</summary>
    public string? Unfit { get; private set; }

    /// <summary>The last message is the beginning of the answer.</summary>
    public bool IsPrefilled { get; private set; }

    public void Write(JsonElement request)
    {
        var messages = Get(request, "messages", JsonValueKind.Array) ?? throw Wrong("The field 'messages' must be an array.", "messages");
        if (messages.GetArrayLength() == 0)
            throw Wrong("The field 'messages' must hold at least one message.", "messages");

        json.WriteStartArray("messages"u8);
        if (request.TryGetProperty("system", out var system) && TextOf(system) is { Length: > 0 } instructions)
            WriteMessage("system", instructions);

        foreach (var message in messages.EnumerateArray())
            WriteMessage(message);

        json.WriteEndArray();
    }

    /// <summary>A string, or the texts of an array of blocks.</summary>
    private string TextOf(JsonElement content)
    {
        switch (content.ValueKind)
        {
            case JsonValueKind.String:
                return content.GetString()!;
            case JsonValueKind.Array:
                return string.Join("\n\n", content.EnumerateArray().Select(BlockText).OfType<string>());
            case JsonValueKind.Null:
                return "";
            default:
                throw Wrong("A content must be a string or an array of blocks.", "messages");
        }
    }

    /// <summary>What a block says in words; null where it is of another kind, which is noted.</summary>
    private string? BlockText(JsonElement block)
    {
        switch (Text(block, "type"))
        {
            case "text":
                return Text(block, "text") ?? throw Wrong("A block of type 'text' must have a text.", "messages");
            case "document" when Get(block, "source", JsonValueKind.Object) is { } source && Text(source, "type") == "text":
                return Text(block, "title") is { Length: > 0 } title ? $"{title}\n\n{Text(source, "data")}" : Text(source, "data");
            case { } type:
                Unfit ??= $"The messages hold a block of type '{type}'.";
                return null;
            default:
                throw Wrong("Each block of a content must have a type.", "messages");
        }
    }

    private void WriteMessage(JsonElement message)
    {
        var role = Text(message, "role");
        if (role is not ("user" or "assistant" or "system") || !message.TryGetProperty("content", out var content))
            throw Wrong("Each message must have the role user or assistant, and a content.", "messages");

        IsPrefilled = role == "assistant";
        if (content.ValueKind != JsonValueKind.Array)
            WriteMessage(role, TextOf(content));
        else if (role == "assistant")
            WriteAnswer(content);
        else
            WriteQuestion(role, content);
    }

    private void WriteMessage(string role, string content)
    {
        json.WriteStartObject();
        json.WriteString("role"u8, role);
        json.WriteString("content"u8, content);
        json.WriteEndObject();
    }

    /// <summary>What the model said earlier. Its thinking is left out: few servers take it back, and Anthropic's is signed for Anthropic.
    /// </summary>
    private void WriteAnswer(JsonElement blocks)
    {
        var calls = blocks.EnumerateArray().Where(block => Text(block, "type") == "tool_use").ToArray();
        var text = string.Concat(blocks.EnumerateArray()
            .Where(block => Text(block, "type") is not ("tool_use" or "thinking" or "redacted_thinking")).Select(BlockText));
        IsPrefilled = calls.Length == 0 && text.Length > 0;
        json.WriteStartObject();
        json.WriteString("role"u8, "assistant"u8);
        json.WriteString("content"u8, text.Length > 0 || calls.Length == 0 ? text : null);
        if (calls.Length > 0)
        {
            json.WriteStartArray("tool_calls"u8);
            foreach (var call in calls)
                WriteCall(call);

            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    private void WriteCall(JsonElement call)
    {
        json.WriteStartObject();
        json.WriteString("id"u8, Text(call, "id") ?? throw Wrong("A block of type 'tool_use' must have an id.", "messages"));
        json.WriteString("type"u8, "function"u8);
        json.WriteStartObject("function"u8);
        json.WriteString("name"u8, Text(call, "name") ?? throw Wrong("A block of type 'tool_use' must have a name.", "messages"));
        json.WriteString("arguments"u8, Get(call, "input", JsonValueKind.Object)?.GetRawText() ?? "{}");
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Tool results first, since a chat wants them right behind the calls, then what else there is; images of results among it.
    /// </summary>
    private void WriteQuestion(string role, JsonElement blocks)
    {
        var parts = new List<JsonElement>();
        foreach (var block in blocks.EnumerateArray())
        {
            if (Text(block, "type") == "tool_result")
                WriteResult(block, parts);
            else
                parts.Add(block);
        }

        if (parts.Count == 0)
            return;

        if (parts.TrueForAll(part => Text(part, "type") != "image"))
        {
            WriteMessage(role, string.Join("\n\n", parts.Select(BlockText).OfType<string>()));
            return;
        }

        json.WriteStartObject();
        json.WriteString("role"u8, role);
        json.WriteStartArray("content"u8);
        parts.ForEach(WritePart);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteResult(JsonElement result, List<JsonElement> parts)
    {
        var text = "";
        if (Get(result, "content", JsonValueKind.Array) is { } blocks)
        {
            parts.AddRange(blocks.EnumerateArray().Where(block => Text(block, "type") == "image"));
            text = string.Join("\n\n",
                blocks.EnumerateArray().Where(block => Text(block, "type") != "image").Select(BlockText).OfType<string>());
        }
        else if (result.TryGetProperty("content", out var content))
        {
            text = TextOf(content);
        }

        json.WriteStartObject();
        json.WriteString("role"u8, "tool"u8);
        json.WriteString("tool_call_id"u8, Text(result, "tool_use_id")
            ?? throw Wrong("A 'tool_result' must have a tool_use_id.", "messages"));
        json.WriteString("content"u8, Get(result, "is_error", JsonValueKind.True) is null ? text : $"Error: {text}");
        json.WriteEndObject();
    }

    private void WritePart(JsonElement block)
    {
        if (Text(block, "type") != "image")
        {
            if (BlockText(block) is { } text)
            {
                json.WriteStartObject();
                json.WriteString("type"u8, "text"u8);
                json.WriteString("text"u8, text);
                json.WriteEndObject();
            }

            return;
        }

        var source = Get(block, "source", JsonValueKind.Object) ?? throw Wrong("A block of type 'image' must have a source.", "messages");
        var url = Text(source, "type") switch
        {
            "base64" => $"data:{Text(source, "media_type")};base64,{Text(source, "data")}",
            "url" => Text(source, "url"),
            _ => null,
        };
        if (url is null)
        {
            Unfit ??= "The messages hold an image that is neither base64 nor a URL.";
            return;
        }

        json.WriteStartObject();
        json.WriteString("type"u8, "image_url"u8);
        json.WriteStartObject("image_url"u8);
        json.WriteString("url"u8, url);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
