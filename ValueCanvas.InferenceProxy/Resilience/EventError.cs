using System.Text.Json;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>Reads an event's <c>error</c>, and whose fault it is.</summary>
internal static class EventError
{
    public static EventSigns Read(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
            return EventSigns.None;

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
