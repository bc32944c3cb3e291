using System.Buffers;
using System.Text.Json;

namespace ValueCanvas.Api.RateLimiting.Tokens;

/// <summary>Reads a stream of server-sent events as it passes: the usage that it tells, and else how much it has said.</summary>
internal sealed class EventReader
{
    private const int MaxLine = 1024 * 1024;

    private readonly ArrayBufferWriter<byte> _line = new(512);
    private bool _tooLong;

    /// <summary>The last that was told.</summary>
    public (int Prompt, int Output)? Usage { get; private set; }

    /// <summary>Events that said something: at most servers a token each.</summary>
    public int Pieces { get; private set; }

    /// <summary>Bytes of what was said: no fewer than its tokens.</summary>
    public long Bytes { get; private set; }

    public void Note(ReadOnlySpan<byte> bytes)
    {
        while (bytes.IndexOf((byte)'\n') is >= 0 and var end)
        {
            Append(bytes[..end]);
            if (!_tooLong && _line.WrittenSpan.StartsWith("data:"u8))
                ReadEvent(_line.WrittenSpan["data:".Length..]);
            _line.ResetWrittenCount();
            _tooLong = false;
            bytes = bytes[(end + 1)..];
        }

        Append(bytes);
    }

    private void Append(ReadOnlySpan<byte> part)
    {
        _tooLong |= _line.WrittenCount + part.Length > MaxLine;
        if (!_tooLong)
            _line.Write(part);
    }

    private void ReadEvent(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        var said = 0L;
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != 1)
                    continue;
                if (reader.ValueTextEquals("usage"u8))
                    Usage = UsageReader.ReadObject(ref reader, Usage?.Prompt) ?? Usage;
                else if (reader.ValueTextEquals("message"u8))
                    ReadMessage(ref reader);
                else if (reader.ValueTextEquals("choices"u8) || reader.ValueTextEquals("delta"u8))
                    said += Said(ref reader);
                else
                    reader.Skip();
            }
        }
        catch (JsonException)
        {
            // [DONE], or what is not ours to understand.
        }

        Bytes += said;
        Pieces += said > 0 ? 1 : 0;
    }

    // Anthropic tells the prompt's tokens with the first event, and those of the answer with the last but one.
    private void ReadMessage(ref Utf8JsonReader reader)
    {
        var depth = reader.CurrentDepth;
        while (reader.Read() && !(reader.TokenType == JsonTokenType.EndObject && reader.CurrentDepth == depth))
        {
            if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != depth + 1)
                continue;
            if (reader.ValueTextEquals("usage"u8))
                Usage = UsageReader.ReadObject(ref reader) ?? Usage;
            else
                reader.Skip();
        }
    }

    // Everything that is text in OpenAI's choices or Anthropic's delta but role and reason to end: content, reasoning, arguments of tools.
    private static long Said(ref Utf8JsonReader reader)
    {
        var said = 0L;
        var depth = reader.CurrentDepth;
        while (reader.Read()
            && !(reader.TokenType is JsonTokenType.EndArray or JsonTokenType.EndObject && reader.CurrentDepth == depth))
        {
            if (reader.TokenType == JsonTokenType.PropertyName && (reader.ValueTextEquals("role"u8)
                || reader.ValueTextEquals("finish_reason"u8) || reader.ValueTextEquals("id"u8) || reader.ValueTextEquals("type"u8)
                || reader.ValueTextEquals("stop_reason"u8) || reader.ValueTextEquals("stop_sequence"u8)))
            {
                reader.Skip();
            }
            else if (reader.TokenType == JsonTokenType.String)
                said += reader.ValueSpan.Length;
        }

        return said;
    }
}
