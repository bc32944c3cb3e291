using System.Buffers;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Errors;

namespace ValueCanvas.InferenceProxy.Providers.Anthropic;

/// <summary>
/// A chat completion request as a request of Anthropic's Messages API. System and developer messages become the <c>system</c> field, tool
/// answers become blocks of user messages, neighbours of one role become one message, and what the other side does not know is left out.
/// </summary>
internal static class AnthropicRequest
{
    // The Messages API requires a maximum; OpenAI's does not.
    private const int DefaultMaxTokens = 4096;

    /// <summary>The request to send, or what in the client's cannot be said to Anthropic.</summary>
    public static ProxyError? TryTranslate(ReadOnlyMemory<byte> body, string model, out byte[] translated)
    {
        translated = [];
        try
        {
            translated = Translate(body, model);
            return null;
        }
        catch (UntranslatableException e)
        {
            return ProxyError.BadRequest(e.Message, e.Param);
        }
        catch (InvalidOperationException)
        {
            return ProxyError.BadRequest("The request body holds a string that is no valid Unicode."); // half of a surrogate pair
        }
    }

    internal static UntranslatableException Wrong(string message, string? param) => new(message, param);

    private static byte[] Translate(ReadOnlyMemory<byte> body, string model)
    {
        using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 128 });
        var request = document.RootElement;
        var buffer = new ArrayBufferWriter<byte>(body.Length + 256);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("model"u8, model);
            json.WriteNumber("max_tokens"u8,
                Integer(request, "max_completion_tokens") ?? Integer(request, "max_tokens") ?? DefaultMaxTokens);
            var messages = Get(request, "messages", JsonValueKind.Array)
                ?? throw Wrong("The field 'messages' must be an array.", "messages");
            WriteSystem(json, messages);
            AnthropicMessages.Write(json, messages);
            WriteSampling(json, request);
            WriteTools(json, request);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    internal static JsonElement? Get(JsonElement parent, string name, JsonValueKind kind) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind == kind ? value : null;

    internal static string? Text(JsonElement parent, string name) => Get(parent, name, JsonValueKind.String)?.GetString();

    private static int? Integer(JsonElement parent, string name) =>
        Get(parent, name, JsonValueKind.Number) is { } number && number.TryGetInt32(out var value) ? value : null;

    private static void WriteSystem(Utf8JsonWriter json, JsonElement messages)
    {
        var texts = messages.EnumerateArray()
            .Where(m => Text(m, "role") is "system" or "developer")
            .SelectMany(m => AnthropicMessages.Texts(m))
            .Where(text => text.Length > 0)
            .ToArray();
        if (texts.Length > 0)
            json.WriteString("system"u8, string.Join("\n\n", texts));
    }

    private static void WriteSampling(Utf8JsonWriter json, JsonElement request)
    {
        if (Get(request, "temperature", JsonValueKind.Number) is { } temperature)
        {
            json.WriteNumber("temperature"u8, Math.Clamp(temperature.GetDouble(), 0, 1)); // OpenAI's scale goes to 2
        }

        foreach (var name in (ReadOnlySpan<string>)["top_p", "top_k"])
        {
            if (Get(request, name, JsonValueKind.Number) is { } value)
            {
                json.WritePropertyName(name);
                value.WriteTo(json);
            }
        }

        if (Get(request, "stream", JsonValueKind.True) is not null)
            json.WriteBoolean("stream"u8, true);

        var stops = Text(request, "stop") is { } one ? [one] : Get(request, "stop", JsonValueKind.Array)?.EnumerateArray()
            .Where(stop => stop.ValueKind == JsonValueKind.String).Select(stop => stop.GetString()!).ToArray();
        // White space alone is refused there.
        if (stops?.Where(stop => !string.IsNullOrWhiteSpace(stop)).ToArray() is { Length: > 0 } sequences)
        {
            json.WriteStartArray("stop_sequences"u8);
            foreach (var stop in sequences)
                json.WriteStringValue(stop);

            json.WriteEndArray();
        }

        if (Text(request, "user") is { Length: > 0 } user)
        {
            json.WriteStartObject("metadata"u8);
            json.WriteString("user_id"u8, user);
            json.WriteEndObject();
        }

        if (request.TryGetProperty("n", out var n) && n.ValueKind == JsonValueKind.Number && n.GetDouble() > 1)
            throw Wrong("This model gives one answer per request: 'n' must be 1.", "n");
    }

    private static void WriteTools(Utf8JsonWriter json, JsonElement request)
    {
        var schema = Get(request, "response_format", JsonValueKind.Object) is { } format && Text(format, "type") == "json_schema"
            ? Get(format, "json_schema", JsonValueKind.Object) : null;
        if (schema is { } asked && Get(asked, "schema", JsonValueKind.Object) is { } shape)
        {
            json.WriteStartObject("output_config"u8);
            json.WriteStartObject("format"u8);
            json.WriteString("type"u8, "json_schema"u8);
            json.WritePropertyName("schema"u8);
            shape.WriteTo(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        if (Get(request, "tools", JsonValueKind.Array) is not { } tools || tools.GetArrayLength() == 0)
            return;

        json.WriteStartArray("tools"u8);
        foreach (var function in tools.EnumerateArray().Select(tool => Get(tool, "function", JsonValueKind.Object)
            ?? throw Wrong("Each of 'tools' must be of type 'function'.", "tools")))
        {
            json.WriteStartObject();
            json.WriteString("name"u8, Text(function, "name") ?? throw Wrong("Each function of 'tools' must have a name.", "tools"));
            if (Text(function, "description") is { } description)
                json.WriteString("description"u8, description);

            json.WritePropertyName("input_schema"u8);
            if (Get(function, "parameters", JsonValueKind.Object) is { } parameters && parameters.TryGetProperty("type", out _))
                parameters.WriteTo(json);
            else
                json.WriteRawValue("""{"type":"object","properties":{}}"""u8);

            json.WriteEndObject();
        }

        json.WriteEndArray();
        WriteToolChoice(json, request);
    }

    private static void WriteToolChoice(Utf8JsonWriter json, JsonElement request)
    {
        var single = Get(request, "parallel_tool_calls", JsonValueKind.False) is not null;
        var forced = Get(request, "tool_choice", JsonValueKind.Object) is { } named
            && Get(named, "function", JsonValueKind.Object) is { } function
            ? Text(function, "name") : null;
        var type = forced is not null ? "tool" : Text(request, "tool_choice") switch
        {
            "required" => "any",
            "none" => "none",
            "auto" => "auto",
            _ => single ? "auto" : null,
        };
        if (type is null)
            return;

        json.WriteStartObject("tool_choice"u8);
        json.WriteString("type"u8, type);
        if (forced is not null)
            json.WriteString("name"u8, forced);

        if (single && type != "none")
            json.WriteBoolean("disable_parallel_tool_use"u8, true);

        json.WriteEndObject();
    }
}

/// <summary>Carries what cannot be said to Anthropic out of the depth of a translation; <see cref="AnthropicRequest.TryTranslate"/> makes
/// it a value.</summary>
internal sealed class UntranslatableException(string message, string? param) : Exception(message)
{
    public string? Param { get; } = param;
}
