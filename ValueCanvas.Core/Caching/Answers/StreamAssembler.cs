using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Answers;

/// <summary>Puts the answer together that the chunks of a stream are the pieces of, as it would have come in one.</summary>
internal sealed class StreamAssembler(AnswerKind kind)
{
    private const int MostChoices = 1024;

    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly EventLines _lines = new();
    private readonly MergedObject _rest = new();
    private readonly SortedDictionary<int, MergedObject> _choices = [];
    private JsonElement? _usage;
    private bool _isUnusable;

    /// <summary>The stream has said that it is whole.</summary>
    public bool IsDone { get; private set; }

    /// <summary>A comment of the proxy's says that another model than the one first in line has answered.</summary>
    public bool IsFallback { get; private set; }

    public void Add(ReadOnlySpan<byte> bytes) => _lines.Add(bytes, OnData, OnComment);

    public void End() => _lines.End(OnData, OnComment);

    /// <summary>The whole answer; null where the stream broke off, told of an error or was none.</summary>
    /// <param name="known">Usage that came on another way, where the stream has none.</param>
    public byte[]? ToAnswer(TokenUsage? known)
    {
        if (!IsDone || _isUnusable || _choices.Count == 0)
            return null;
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer, Writing))
            Write(writer, known);
        return buffer.WrittenSpan.ToArray();
    }

    private void Write(Utf8JsonWriter writer, TokenUsage? known)
    {
        writer.WriteStartObject();
        if (!_rest.Has("id"))
            writer.WriteString("id", AnswerReading.NewId(kind));
        _rest.Set("object", Text(kind == AnswerKind.Chat ? "chat.completion" : "text_completion"));
        _rest.WriteMembers(writer);
        writer.WriteStartArray("choices");
        foreach (var choice in _choices.Values)
            choice.Write(writer);
        writer.WriteEndArray();
        if (_usage is { } told)
        {
            writer.WritePropertyName("usage");
            told.WriteTo(writer);
        }
        else if (known is not null)
        {
            WriteUsage(writer, known);
        }

        writer.WriteEndObject();
    }

    private void OnComment(ReadOnlySpan<byte> comment) => IsFallback |= comment.IndexOf(FallbackMark.Bytes) >= 0;

    private void OnData(ReadOnlySpan<byte> data)
    {
        if (data.SequenceEqual("[DONE]"u8))
        {
            IsDone = true;
            return;
        }

        try
        {
            var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 128 });
            using var document = JsonDocument.ParseValue(ref reader);
            if (IsDone || document.RootElement.ValueKind != JsonValueKind.Object)
                _isUnusable = true;
            else
                Chunk(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            _isUnusable = true;
        }
    }

    private void Chunk(JsonElement chunk)
    {
        foreach (var member in chunk.EnumerateObject())
        {
            switch (member.Name)
            {
                case "error" when member.Value.ValueKind != JsonValueKind.Null:
                    _isUnusable = true;
                    break;
                case "choices" when member.Value.ValueKind == JsonValueKind.Array:
                    foreach (var choice in member.Value.EnumerateArray())
                        Choice(choice);
                    break;
                case "usage":
                    if (member.Value.ValueKind == JsonValueKind.Object)
                        _usage = member.Value.Clone();
                    break;
                case "obfuscation":
                    // Padding that a stream alone has.
                    break;
                default:
                    // The first word counts (created), but something is better than nothing.
                    if (!_rest.Has(member.Name) || (_rest[member.Name] is null && member.Value.ValueKind != JsonValueKind.Null))
                        _rest.Set(member.Name, member.Value.ValueKind == JsonValueKind.Null ? null : member.Value.Clone());
                    break;
            }
        }
    }

    private void Choice(JsonElement piece)
    {
        var index = piece.TryGetProperty("index", out var told) && told.TryGetInt32(out var number) ? number : 0;
        if (index is < 0 or >= MostChoices)
        {
            _isUnusable = true;
            return;
        }

        if (!_choices.TryGetValue(index, out var choice))
        {
            _choices[index] = choice = new MergedObject();
            choice.Set("index", told.ValueKind == JsonValueKind.Number ? told.Clone() : null);
            if (kind == AnswerKind.Chat)
            {
                var message = new MergedObject();
                message.Set("role", Text("assistant"));
                message.Set("content", null);
                choice.Set("message", message);
            }
        }

        foreach (var member in piece.EnumerateObject())
        {
            if (member.Name == "delta" && member.Value.ValueKind == JsonValueKind.Object && choice["message"] is MergedObject message)
                Delta(message, member.Value);
            else if (member.Name != "index")
                choice.Merge(member.Name, member.Value);
        }
    }

    private static void Delta(MergedObject message, JsonElement delta)
    {
        message.Merge(delta);
        // Where a call stands in the list is its index; only a stream has to say so.
        if (message["tool_calls"] is MergedList calls)
        {
            foreach (var call in calls.Items)
                (call as MergedObject)?.Remove("index");
        }
    }

    private static void WriteUsage(Utf8JsonWriter writer, TokenUsage usage)
    {
        writer.WriteStartObject("usage");
        writer.WriteNumber("prompt_tokens", usage.InputTokens);
        writer.WriteNumber("completion_tokens", usage.OutputTokens);
        writer.WriteNumber("total_tokens", usage.TotalTokens);
        writer.WriteStartObject("prompt_tokens_details");
        writer.WriteNumber("cached_tokens", usage.CachedInputTokens);
        writer.WriteEndObject();
        writer.WriteStartObject("completion_tokens_details");
        writer.WriteNumber("reasoning_tokens", usage.ReasoningTokens);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static JsonElement Text(string text) => JsonSerializer.SerializeToElement(text, WireContext.Default.String);
}
