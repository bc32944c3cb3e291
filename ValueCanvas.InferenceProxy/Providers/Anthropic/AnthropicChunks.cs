using System.Buffers;
using System.Text.Json;
using static ValueCanvas.InferenceProxy.Providers.Anthropic.AnthropicRequest;

namespace ValueCanvas.InferenceProxy.Providers.Anthropic;

/// <summary>Turns the events of one Anthropic stream into OpenAI's chunks: one instance per stream, one call per event.</summary>
internal sealed class AnthropicChunks(long created, bool wantsUsage)
{
    private readonly Dictionary<long, int> _toolOfBlock = [];
    private string? _id;
    private string? _model;
    private string? _finishReason;
    private AnthropicUsage _usage;
    private bool _content;

    /// <summary>The stream has said all it will: with its end, or with an error.</summary>
    public bool IsOver { get; private set; }

    /// <exception cref="JsonException">The event is malformed.</exception>
    public void Translate(ReadOnlyMemory<byte> data, IBufferWriter<byte> output)
    {
        using var document = JsonDocument.Parse(data);
        var @event = document.RootElement;
        switch (Text(@event, "type"))
        {
            case "message_start":
                var message = Get(@event, "message", JsonValueKind.Object) ?? throw new JsonException("no message");
                (_id, _model) = (Text(message, "id"), Text(message, "model"));
                Count(message);
                Chunk(output, json =>
                {
                    json.WriteString("role"u8, "assistant"u8);
                    json.WriteString("content"u8, ""u8);
                });
                break;
            case "content_block_start" when Get(@event, "content_block", JsonValueKind.Object) is { } block:
                Start(@event, block, output);
                break;
            case "content_block_delta" when Get(@event, "delta", JsonValueKind.Object) is { } delta:
                Continue(@event, delta, output);
                break;
            case "message_delta":
                Count(@event);
                _finishReason = Get(@event, "delta", JsonValueKind.Object) is { } end
                    ? AnthropicAnswer.FinishReason(Text(end, "stop_reason")) : null;
                if (_finishReason is not null)
                    Chunk(output, static _ => { }, _finishReason);

                break;
            case "message_stop":
                Finish(output);
                break;
            case "error":
                IsOver = true;
                Event(output, AnthropicAnswer.Error(Get(@event, "error", JsonValueKind.Object), 500));
                break;
            case "ping" when _content:
                output.Write(": ping\n\n"u8);
                break;
        }
    }

    private void Start(JsonElement @event, JsonElement block, IBufferWriter<byte> output)
    {
        if (Text(block, "type") == "tool_use")
        {
            _toolOfBlock[Index(@event)] = _toolOfBlock.Count;
            ToolChunk(output, _toolOfBlock.Count - 1, Text(block, "id"), Text(block, "name"), "");
        }
        else if (Text(block, "text") is { Length: > 0 } text)
        {
            TextChunk(output, "content", text);
        }
    }

    private void Continue(JsonElement @event, JsonElement delta, IBufferWriter<byte> output)
    {
        switch (Text(delta, "type"))
        {
            case "text_delta":
                TextChunk(output, "content", Text(delta, "text") ?? "");
                break;
            case "thinking_delta":
                TextChunk(output, "reasoning", Text(delta, "thinking") ?? "");
                break;
            case "input_json_delta" when _toolOfBlock.TryGetValue(Index(@event), out var tool)
                && Text(delta, "partial_json") is { Length: > 0 } json:
                ToolChunk(output, tool, null, null, json);
                break;
        }
    }

    private void Finish(IBufferWriter<byte> output)
    {
        IsOver = true;
        if (_finishReason is null)
        {
            return; // an end without a reason is a break, and whoever reads on sees that [DONE] is missing
        }

        if (wantsUsage)
        {
            Event(output, Body(json =>
            {
                json.WriteStartArray("choices"u8);
                json.WriteEndArray();
                json.WritePropertyName("usage"u8);
                _usage.Write(json);
            }));
        }

        output.Write("data: [DONE]\n\n"u8);
    }

    private void TextChunk(IBufferWriter<byte> output, string field, string text)
    {
        _content = true;
        Chunk(output, json => json.WriteString(field, text));
    }

    private void ToolChunk(IBufferWriter<byte> output, int index, string? id, string? name, string arguments)
    {
        _content = true;
        Chunk(output, json =>
        {
            json.WriteStartArray("tool_calls"u8);
            json.WriteStartObject();
            json.WriteNumber("index"u8, index);
            if (id is not null)
            {
                json.WriteString("id"u8, id);
                json.WriteString("type"u8, "function"u8);
            }

            json.WriteStartObject("function"u8);
            if (name is not null)
                json.WriteString("name"u8, name);

            json.WriteString("arguments"u8, arguments);
            json.WriteEndObject();
            json.WriteEndObject();
            json.WriteEndArray();
        });
    }

    private void Chunk(IBufferWriter<byte> output, Action<Utf8JsonWriter> delta, string? finishReason = null) => Event(output, Body(json =>
    {
        json.WriteStartArray("choices"u8);
        json.WriteStartObject();
        json.WriteNumber("index"u8, 0);
        json.WriteStartObject("delta"u8);
        delta(json);
        json.WriteEndObject();
        json.WriteNull("logprobs"u8);
        json.WriteString("finish_reason"u8, finishReason);
        json.WriteEndObject();
        json.WriteEndArray();
        if (wantsUsage)
            json.WriteNull("usage"u8);
    }));

    private ReadOnlySpan<byte> Body(Action<Utf8JsonWriter> rest)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, AnthropicAnswer.Writing))
        {
            json.WriteStartObject();
            json.WriteString("id"u8, _id);
            json.WriteString("object"u8, "chat.completion.chunk"u8);
            json.WriteNumber("created"u8, created);
            json.WriteString("model"u8, _model);
            rest(json);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan;
    }

    private static void Event(IBufferWriter<byte> output, ReadOnlySpan<byte> json)
    {
        output.Write("data: "u8);
        output.Write(json);
        output.Write("\n\n"u8);
    }

    private void Count(JsonElement parent)
    {
        if (Get(parent, "usage", JsonValueKind.Object) is { } usage)
        {
            _usage = _usage.With(usage);
        }
    }

    private static long Index(JsonElement @event) =>
        Get(@event, "index", JsonValueKind.Number) is { } index && index.TryGetInt64(out var value)
            ? value : throw new JsonException("no index");
}
