using System.Buffers;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers.Anthropic;
using static ValueCanvas.InferenceProxy.Providers.Anthropic.AnthropicRequest;

namespace ValueCanvas.InferenceProxy.Messages;

/// <summary>A request of Anthropic's Messages API as a chat completion request. What can be said to Anthropic alone is left out and noted:
/// a target that is not Anthropic's must not get the rest as if it were all.</summary>
internal sealed class MessagesRequest
{
    private static readonly (string Name, string ChatName)[] SamplingFields =
        [("temperature", "temperature"), ("top_p", "top_p"), ("top_k", "top_k"), ("stop_sequences", "stop")];

    private static readonly byte[] CompletionLimitName = "\"max_completion_tokens\""u8.ToArray();

    private readonly Utf8JsonWriter _json;
    private string? _unfit;

    private MessagesRequest(Utf8JsonWriter json) => _json = json;

    private static ReadOnlySpan<byte> LimitName => "\"max_tokens\""u8;

    /// <summary>The chat request, or what is wrong with the client's. <paramref name="unfit"/>: why only Anthropic can have it.</summary>
    public static ProxyError? TryTranslate(ReadOnlyMemory<byte> body, bool counting, out byte[] chat, out ProxyError? unfit)
    {
        (chat, unfit) = ([], null);
        var buffer = new ArrayBufferWriter<byte>(body.Length + 256);
        using var json = new Utf8JsonWriter(buffer, AnthropicAnswer.Writing);
        var request = new MessagesRequest(json);
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 128 });
            request.Write(document.RootElement, counting);
        }
        catch (UntranslatableException e)
        {
            return ProxyError.BadRequest(e.Message, e.Param);
        }
        catch (InvalidOperationException)
        {
            return ProxyError.BadRequest("The request body holds a string that is no valid Unicode."); // half of a surrogate pair
        }

        chat = buffer.WrittenSpan.ToArray();
        unfit = request._unfit is { } reason
            ? ProxyError.BadRequest($"{reason} The model's provider is not Anthropic and cannot take it.")
            : null;
        return null;
    }

    /// <summary>Gives the limit of a chat request, which <paramref name="peek"/> has read, the name that OpenAI's newer models insist
    /// on.</summary>
    public static BodyEdit LimitByCompletionTokens(RequestPeek peek)
    {
        var start = peek.ModelEnd + 1; // the limit stands behind the model and a comma
        return new BodyEdit(start, start + LimitName.Length, CompletionLimitName);
    }

    private void Write(JsonElement request, bool counting)
    {
        _json.WriteStartObject();
        _json.WriteString("model"u8, Text(request, "model"));
        if (!counting)
        {
            Copy("max_tokens", Get(request, "max_tokens", JsonValueKind.Number)
                ?? throw Wrong("The field 'max_tokens' is required and must be a number.", "max_tokens"));
        }

        var conversation = new MessagesConversation(_json);
        conversation.Write(request);
        _unfit = conversation.Unfit;
        if (conversation.IsPrefilled)
        {
            // The answer goes on where the last message ends.
            _json.WriteBoolean("continue_final_message"u8, true);
            _json.WriteBoolean("add_generation_prompt"u8, false);
        }

        _unfit ??= MessagesTools.Write(_json, request);
        if (!counting)
        {
            WriteSampling(request);
            WriteOutput(request);
        }

        if (Get(request, "mcp_servers", JsonValueKind.Array) is { } servers && servers.GetArrayLength() > 0)
            _unfit ??= "The field 'mcp_servers' asks for servers that Anthropic itself would call.";

        _json.WriteEndObject();
        _json.Flush();
    }

    private void WriteSampling(JsonElement request)
    {
        foreach (var (name, chatName) in SamplingFields)
        {
            if (request.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null)
                Copy(chatName, value);
        }

        if (Get(request, "metadata", JsonValueKind.Object) is { } metadata && Text(metadata, "user_id") is { Length: > 0 } user)
            _json.WriteString("user"u8, user);

        if (Get(request, "stream", JsonValueKind.True) is not null)
        {
            _json.WriteBoolean("stream"u8, true);
            _json.WriteStartObject("stream_options"u8);
            _json.WriteBoolean("include_usage"u8, true);
            _json.WriteEndObject();
        }
    }

    private void WriteOutput(JsonElement request)
    {
        var output = Get(request, "output_config", JsonValueKind.Object) ?? default;
        var thinking = Get(request, "thinking", JsonValueKind.Object) ?? default;
        var budget = Get(thinking, "budget_tokens", JsonValueKind.Number)?.GetDouble();
        if ((Text(output, "effort") ?? EffortOf(budget)) is { } asked)
            _json.WriteString("reasoning_effort"u8, asked is "xhigh" or "max" ? "high" : asked);

        var format = Get(output, "format", JsonValueKind.Object) ?? Get(request, "output_format", JsonValueKind.Object) ?? default;
        if (Get(format, "schema", JsonValueKind.Object) is { } schema)
        {
            _json.WriteStartObject("response_format"u8);
            _json.WriteString("type"u8, "json_schema"u8);
            _json.WriteStartObject("json_schema"u8);
            _json.WriteString("name"u8, "output"u8);
            _json.WriteBoolean("strict"u8, true);
            Copy("schema", schema);
            _json.WriteEndObject();
            _json.WriteEndObject();
        }
    }

    // OpenAI has three words where Anthropic has a number of tokens.
    private static string? EffortOf(double? budget) => budget switch
    {
        null => null,
        < 4096 => "low",
        < 16384 => "medium",
        _ => "high",
    };

    private void Copy(string name, JsonElement value)
    {
        _json.WritePropertyName(name);
        value.WriteTo(_json);
    }
}
