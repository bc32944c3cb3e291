using System.Text.Json;

namespace ValueCanvas.Core.Caching.Keys;

/// <summary>The few fields of a request that decide whether and how it is cached.</summary>
internal readonly record struct RequestPeek(string? Model, bool IsStream, bool WantsUsage, bool IsDeterministic)
{
    /// <summary>False: it is not an object, or malformed as far as it was read.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, out RequestPeek peek)
    {
        peek = default;
        var (model, stream, usage, still, seeded) = ((string?)null, false, false, false, false);
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 128 });
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                return false;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("model"u8))
                {
                    model = reader.Read() && reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
                }
                else if (reader.ValueTextEquals("stream"u8))
                {
                    stream = reader.Read() && reader.TokenType == JsonTokenType.True;
                }
                else if (reader.ValueTextEquals("temperature"u8))
                {
                    still = reader.Read() && reader.TokenType == JsonTokenType.Number
                        && reader.TryGetDouble(out var degrees) && degrees == 0;
                }
                else if (reader.ValueTextEquals("seed"u8))
                {
                    seeded = reader.Read() && reader.TokenType == JsonTokenType.Number;
                }
                else if (reader.ValueTextEquals("stream_options"u8))
                {
                    usage = ReadOptions(ref reader);
                    continue;
                }

                // Over a value that was not read, or of which only the beginning was.
                reader.Skip();
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }

        peek = new(model, stream, usage, still || seeded);
        return true;
    }

    private static bool ReadOptions(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return false;
        }

        var usage = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("include_usage"u8))
                usage = reader.Read() && reader.TokenType == JsonTokenType.True;
            reader.Skip();
        }

        return usage;
    }
}
