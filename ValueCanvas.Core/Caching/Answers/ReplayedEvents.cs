using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace ValueCanvas.Core.Caching.Answers;

/// <summary>Writes a kept answer as the events of a stream, all under one new id.</summary>
internal abstract class ReplayedEvents(JsonElement answer, AnswerKind kind, string? type) : IDisposable
{
    private const int PieceLength = 256;

    private static readonly JsonWriterOptions Writing =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly ArrayBufferWriter<byte> _buffer = new(4096);
    private readonly string _id = AnswerReading.NewId(kind);
    private bool _isFirst = true;

    protected Utf8JsonWriter Writer { get; } = new(Stream.Null, Writing);

    public abstract void Choice(JsonElement choice);

    public void Usage(JsonElement usage) => Event(() =>
    {
        Writer.WriteStartArray("choices");
        Writer.WriteEndArray();
        Writer.WritePropertyName("usage");
        usage.WriteTo(Writer);
    });

    public byte[] End()
    {
        _buffer.Write("data: [DONE]\n\n"u8);
        return _buffer.WrittenSpan.ToArray();
    }

    public void Dispose() => Writer.Dispose();

    protected static JsonElement? Logprobs(JsonElement choice) =>
        choice.TryGetProperty("logprobs", out var told) && told.ValueKind != JsonValueKind.Null ? told : null;

    protected static IEnumerable<string> Pieces(string text)
    {
        for (var at = 0; at < text.Length;)
        {
            var length = Math.Min(PieceLength, text.Length - at);
            if (at + length < text.Length && char.IsHighSurrogate(text[at + length - 1]))
                length++;
            yield return text.Substring(at, length);
            at += length;
        }
    }

    /// <summary>One event of a choice. The last one has what else is said of it.</summary>
    protected void Event(JsonElement choice, string? content, JsonElement last, JsonElement? logprobs, Action write) => Event(() =>
    {
        Writer.WriteStartArray("choices");
        Writer.WriteStartObject();
        if (choice.TryGetProperty("index", out var index))
        {
            Writer.WritePropertyName("index");
            index.WriteTo(Writer);
        }

        if (content is not null)
            Writer.WriteStartObject(content);
        write();
        if (content is not null)
            Writer.WriteEndObject();
        if (logprobs is { } told)
        {
            Writer.WritePropertyName("logprobs");
            told.WriteTo(Writer);
        }

        if (last.ValueKind == JsonValueKind.Object)
            Rest(last);
        else
            Writer.WriteNull("finish_reason");

        Writer.WriteEndObject();
        Writer.WriteEndArray();
    });

    // What is about the whole answer (token ids of the prompt) is said once.
    private static bool IsSmall(JsonElement value) => value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array);

    private void Rest(JsonElement choice)
    {
        foreach (var member in choice.EnumerateObject())
        {
            if (member.Name is not ("index" or "message" or "text" or "logprobs"))
                member.WriteTo(Writer);
        }
    }

    private void Event(Action write)
    {
        _buffer.Write("data: "u8);
        Writer.Reset(_buffer);
        Writer.WriteStartObject();
        Writer.WriteString("id", _id);
        foreach (var member in answer.EnumerateObject())
        {
            if (member.Name == "object")
                Writer.WriteString("object", type ?? member.Value.GetString());
            else if (member.Name is not ("id" or "choices" or "usage") && (_isFirst || IsSmall(member.Value)))
                member.WriteTo(Writer);
        }

        _isFirst = false;
        write();
        Writer.WriteEndObject();
        Writer.Flush();
        _buffer.Write("\n\n"u8);
    }
}

/// <summary>A text completion's.</summary>
internal sealed class TextEvents(JsonElement answer) : ReplayedEvents(answer, AnswerKind.Text, type: null)
{
    public override void Choice(JsonElement choice)
    {
        var logprobs = Logprobs(choice);
        foreach (var piece in Pieces(choice.TryGetProperty("text", out var text) ? text.GetString() ?? "" : ""))
        {
            Event(choice, null, default, logprobs, () => Writer.WriteString("text", piece));
            logprobs = null;
        }

        Event(choice, null, choice, logprobs, () => Writer.WriteString("text", ""));
    }
}
