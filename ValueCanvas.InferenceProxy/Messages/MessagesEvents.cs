using System.Buffers;
using System.Text;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Providers.Anthropic;
using static ValueCanvas.InferenceProxy.Providers.Anthropic.AnthropicRequest;

namespace ValueCanvas.InferenceProxy.Messages;

/// <summary>Turns a chat's chunks into the events of one Messages stream: one instance per stream, one call per chunk.</summary>
internal sealed class MessagesEvents(IBufferWriter<byte> output, string requestId) : IDisposable
{
    private readonly Utf8JsonWriter _json = new(output, AnthropicAnswer.Writing);
    private readonly Dictionary<int, (int Block, string? Id)> _blockOfCall = [];
    private AnthropicUsage _usage;
    private JsonElement? _ending;
    private string? _open; // type of the block under way, the last one
    private int _blocks;
    private bool _started;
    private bool _refused;

    /// <summary>The stream has said all it will: with its end, or with an error.</summary>
    public bool IsOver { get; private set; }

    public void Ping()
    {
        Begin("ping");
        End();
    }

    /// <exception cref="JsonException">The chunk is malformed.</exception>
    public void Translate(ReadOnlyMemory<byte> data)
    {
        if (IsOver)
            return;

        if (data.Span.SequenceEqual("[DONE]"u8))
        {
            Finish();
            return;
        }

        using var document = JsonDocument.Parse(data, new JsonDocumentOptions { MaxDepth = 64 });
        var chunk = document.RootElement;
        if (Get(chunk, "error", JsonValueKind.Object) is { } error)
        {
            IsOver = true;
            Begin("error");
            MessagesError.WriteEvent(_json, error, requestId);
            End();
            return;
        }

        Start(chunk);
        _usage = Get(chunk, "usage", JsonValueKind.Object) is null ? _usage : MessagesUsage.Of(chunk);
        foreach (var choice in Get(chunk, "choices", JsonValueKind.Array)?.EnumerateArray().ToArray() ?? [])
        {
            if (Get(choice, "delta", JsonValueKind.Object) is { } delta)
                Continue(delta);

            _ending = Get(choice, "finish_reason", JsonValueKind.String) is null ? _ending : choice.Clone();
        }
    }

    /// <summary>An event of Anthropic's own goes on as it is.</summary>
    public void Pass(ReadOnlyMemory<byte> @event)
    {
        using var document = JsonDocument.Parse(@event, new JsonDocumentOptions { MaxDepth = 64 });
        var type = Text(document.RootElement, "type") ?? throw new JsonException("no type");
        IsOver |= type is "message_stop" or "error";
        _started |= type == "message_start";
        if (Get(document.RootElement, "index", JsonValueKind.Number) is { } number && number.TryGetInt32(out var index))
        {
            _blocks = Math.Max(_blocks, index + 1);
            _open = type == "content_block_stop" ? null : "";
        }

        output.Write(Encoding.UTF8.GetBytes($"event: {type}\ndata: "));
        output.Write(@event.Span);
        output.Write("\n\n"u8);
    }

    /// <summary>The end of a chat whose finish reason has come; of any other there is no end to tell.</summary>
    public void Finish()
    {
        if (IsOver || _ending is not { } ending)
            return;

        IsOver = true;
        CloseBlock();
        Begin("message_delta");
        _json.WriteStartObject("delta"u8);
        MessagesAnswer.WriteStop(_json, ending, _blockOfCall.Count > 0, _refused);
        _json.WriteEndObject();
        MessagesUsage.Write(_json, _usage);
        End();
        Begin("message_stop");
        End();
    }

    public void Dispose() => _json.Dispose();

    private void Start(JsonElement chunk)
    {
        if (_started)
            return;

        _started = true;
        Begin("message_start");
        _json.WriteStartObject("message"u8);
        MessagesAnswer.WriteHead(_json, chunk);
        _json.WriteStartArray("content"u8);
        _json.WriteEndArray();
        _json.WriteNull("stop_reason"u8);
        _json.WriteNull("stop_sequence"u8);
        MessagesUsage.Write(_json, MessagesUsage.Of(chunk));
        _json.WriteEndObject();
        End();
    }

    private void Continue(JsonElement delta)
    {
        Say("thinking", "thinking_delta", MessagesAnswer.Reasoning(delta));
        Say("text", "text_delta", Text(delta, "content"));
        var refusal = Text(delta, "refusal");
        _refused |= refusal is { Length: > 0 };
        Say("text", "text_delta", refusal);
        foreach (var call in Get(delta, "tool_calls", JsonValueKind.Array)?.EnumerateArray().ToArray() ?? [])
            Call(call);
    }

    private void Say(string type, string deltaType, string? text)
    {
        if (string.IsNullOrEmpty(text))
            return;

        if (_open != type)
        {
            OpenBlock(type);
            _json.WriteString("type"u8, type);
            _json.WriteString(type, ""u8);
            if (type == "thinking")
                _json.WriteString("signature"u8, ""u8);

            EndBlockStart();
        }

        Delta(_blocks - 1, deltaType, type, text);
    }

    private void Call(JsonElement call)
    {
        var index = Get(call, "index", JsonValueKind.Number) is { } number && number.TryGetInt32(out var given) ? given : 0;
        var id = Text(call, "id") is { Length: > 0 } named ? named : null;
        // Some servers number every call 0: a new id is a new call.
        if (!_blockOfCall.TryGetValue(index, out var known) || (id is not null && known.Id is not null && id != known.Id))
        {
            OpenBlock("tool_use");
            MessagesAnswer.WriteCallHead(_json, call);
            _json.WriteStartObject("input"u8);
            _json.WriteEndObject();
            EndBlockStart();
            _blockOfCall[index] = known = (_blocks - 1, id);
        }

        var arguments = Get(call, "function", JsonValueKind.Object) is { } function ? Text(function, "arguments") : null;
        if (!string.IsNullOrEmpty(arguments))
            Delta(known.Block, "input_json_delta", "partial_json", arguments);
    }

    private void OpenBlock(string type)
    {
        CloseBlock();
        _open = type;
        Begin("content_block_start");
        _json.WriteNumber("index"u8, _blocks++);
        _json.WriteStartObject("content_block"u8);
    }

    private void EndBlockStart()
    {
        _json.WriteEndObject();
        End();
    }

    private void Delta(int block, string type, string field, string text)
    {
        Begin("content_block_delta");
        _json.WriteNumber("index"u8, block);
        _json.WriteStartObject("delta"u8);
        _json.WriteString("type"u8, type);
        _json.WriteString(field, text);
        _json.WriteEndObject();
        End();
    }

    private void CloseBlock()
    {
        if (_open is not null)
        {
            _open = null;
            Begin("content_block_stop");
            _json.WriteNumber("index"u8, _blocks - 1);
            End();
        }
    }

    private void Begin(string type)
    {
        output.Write(Encoding.UTF8.GetBytes($"event: {type}\ndata: "));
        _json.Reset();
        _json.WriteStartObject();
        _json.WriteString("type"u8, type);
    }

    private void End()
    {
        _json.WriteEndObject();
        _json.Flush();
        output.Write("\n\n"u8);
    }
}
