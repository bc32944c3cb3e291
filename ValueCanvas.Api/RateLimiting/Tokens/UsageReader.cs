using System.Text.Json;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.RateLimiting.Tokens;

/// <summary>Finds the <c>usage</c> of an answer that passes, in its last bytes: servers write it after the content.</summary>
internal sealed class UsageReader
{
    private readonly LastBytes _last = new();

    public void Note(ReadOnlySpan<byte> bytes) => _last.Note(bytes);

    public (int Prompt, int Output)? Read()
    {
        // Within a string quotes are escaped, so this is no text of the model's.
        ReadOnlySpan<byte> name = "\"usage\""u8;
        var tail = _last.Bytes;
        for (var at = tail.LastIndexOf(name); at >= 0; at = tail[..at].LastIndexOf(name))
        {
            var rest = tail[(at + name.Length)..];
            var brace = rest.IndexOf((byte)'{');
            if (brace < 0 || rest[..brace].IndexOfAnyExcept(" \t\r\n:"u8) >= 0)
                continue;
            var reader = new Utf8JsonReader(rest[brace..]);
            try
            {
                if (ReadObject(ref reader) is { } usage)
                    return usage;
            }
            catch (JsonException)
            {
                // Cut off.
            }
        }

        return null;
    }

    /// <summary>
    /// Reads the object that comes next; null where it is none, or tells no tokens. A prompt that was told before may be left out.
    /// </summary>
    public static (int Prompt, int Output)? ReadObject(ref Utf8JsonReader reader, int? toldPrompt = null)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            return null;
        var depth = reader.CurrentDepth;
        int? prompt = null;
        var (output, cached) = (0, 0);
        while (reader.Read() && !(reader.TokenType == JsonTokenType.EndObject && reader.CurrentDepth == depth))
        {
            if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != depth + 1)
                continue;
            var isPrompt = reader.ValueTextEquals("prompt_tokens"u8) || reader.ValueTextEquals("input_tokens"u8);
            // Anthropic's input tokens are those that no cache had.
            var isCached = reader.ValueTextEquals("cache_read_input_tokens"u8) || reader.ValueTextEquals("cache_creation_input_tokens"u8);
            var isOutput = reader.ValueTextEquals("completion_tokens"u8) || reader.ValueTextEquals("output_tokens"u8);
            if (!reader.Read() || reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out var count))
                reader.Skip();
            else if (isPrompt)
                prompt = count;
            else if (isOutput)
                output = count;
            else if (isCached)
                cached += count;
        }

        return (prompt + cached ?? toldPrompt) is { } read ? (read, output) : null;
    }
}
