using System.Text.Json;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>What one event of a stream says.</summary>
[Flags]
internal enum EventSigns
{
    None = 0,

    /// <summary>Text, a tool call, reasoning, or anything unknown: the client shall have it.</summary>
    Content = 1,

    /// <summary>A finish reason.</summary>
    Finish = 2,

    /// <summary><c>[DONE]</c></summary>
    Done = 4,

    /// <summary>An error object.</summary>
    Error = 8,

    /// <summary>The error is the client's own, by its code.</summary>
    ClientFault = 16,

    /// <summary>Not a JSON object.</summary>
    Malformed = 32,
}

/// <summary>Reads the payload of one <c>data:</c> event. An event with just a role, or with no choices, says nothing yet.</summary>
internal static class StreamEvent
{
    private static readonly JsonReaderOptions Reading = new() { MaxDepth = 64 };

    public static EventSigns Read(ReadOnlySpan<byte> data)
    {
        data = data.Trim(" \t\r\n"u8);
        if (data.IsEmpty)
        {
            return EventSigns.None;
        }

        if (data.SequenceEqual("[DONE]"u8))
        {
            return EventSigns.Done;
        }

        try
        {
            return ReadObject(data);
        }
        catch (JsonException)
        {
            return EventSigns.Malformed;
        }
    }

    private static EventSigns ReadObject(ReadOnlySpan<byte> data)
    {
        var reader = new Utf8JsonReader(data, Reading);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return EventSigns.Malformed;
        }

        var (signs, known) = (EventSigns.None, false);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("choices"u8))
            {
                known = true;
                signs |= ReadChoices(ref reader);
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                signs |= ReadError(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }

        reader.Read(); // anything behind the object is an error
        return known || signs != EventSigns.None ? signs : EventSigns.Content;
    }

    private static EventSigns ReadChoices(ref Utf8JsonReader reader)
    {
        var signs = EventSigns.None;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return signs;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var (finish, text, delta) =
                    (reader.ValueTextEquals("finish_reason"u8), reader.ValueTextEquals("text"u8), reader.ValueTextEquals("delta"u8));
                reader.Read();
                if (finish)
                {
                    signs |= reader.TokenType == JsonTokenType.String ? EventSigns.Finish : EventSigns.None;
                    reader.Skip();
                }
                else if (delta && reader.TokenType == JsonTokenType.StartObject)
                {
                    signs |= ReadDelta(ref reader);
                }
                else
                {
                    signs |= text && IsSomething(ref reader) ? EventSigns.Content : EventSigns.None;
                    reader.Skip();
                }
            }
        }

        return signs;
    }

    private static EventSigns ReadDelta(ref Utf8JsonReader reader)
    {
        var signs = EventSigns.None;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var role = reader.ValueTextEquals("role"u8);
            reader.Read();
            if (!role && IsSomething(ref reader))
            {
                signs = EventSigns.Content;
            }

            reader.Skip();
        }

        return signs;
    }

    private static bool IsSomething(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.Null => false,
        JsonTokenType.String => reader.ValueSpan.Length > 0,
        JsonTokenType.StartArray => !IsEmptyArray(reader),
        _ => true,
    };

    private static bool IsEmptyArray(Utf8JsonReader copy) => copy.Read() && copy.TokenType == JsonTokenType.EndArray;

    private static EventSigns ReadError(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
        {
            return EventSigns.None;
        }

        var signs = EventSigns.Error;
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var code = reader.ValueTextEquals("code"u8);
                reader.Read();
                if (code && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var status)
                    && status is >= 400 and < 500 and not (401 or 402 or 403 or 408 or 429))
                {
                    signs |= EventSigns.ClientFault;
                }

                reader.Skip();
            }
        }
        else
        {
            reader.Skip();
        }

        return signs;
    }
}
