using System.Text.Json;
using ValueCanvas.InferenceProxy.Forwarding;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>The payload of one <c>data:</c> event: what it says, and where its parts stand in it. An event with just a role, or with no
/// choices, says nothing yet.</summary>
internal struct StreamEvent
{
    private static readonly JsonReaderOptions Reading = new() { MaxDepth = 64 };

    public EventSigns Signs { get; private set; }

    public Usage? Usage { get; private set; }

    /// <summary>It has a list of choices, and that is empty: what usage comes with at a stream's end.</summary>
    public bool HasNoChoices { get; private set; }

    /// <summary>The number of the last choice in it; most events have just one.</summary>
    public int Choice { get; private set; }

    /// <summary>It has a delta, and nothing in it.</summary>
    public bool HasEmptyDelta { get; private set; }

    /// <summary>It has content that is more than the text of the only choice.</summary>
    public bool HasMore { get; private set; }

    public JsonField UsageField { get; private set; }

    /// <summary>A chat chunk's text or a text completion's, as a JSON string.</summary>
    public JsonField Text { get; private set; }

    public JsonField FinishReason { get; private set; }

    public JsonField StopReason { get; private set; }

    public JsonField TokenIds { get; private set; }

    public JsonField PromptTokenIds { get; private set; }

    /// <summary>Reads a payload without the space around it.</summary>
    public static StreamEvent Read(ReadOnlySpan<byte> data)
    {
        var read = default(StreamEvent);
        if (data.IsEmpty)
            return read;

        if (data.SequenceEqual("[DONE]"u8))
            return read with { Signs = EventSigns.Done };

        try
        {
            read.ReadObject(data);
            return read;
        }
        catch (JsonException)
        {
            return new StreamEvent { Signs = EventSigns.Malformed };
        }
    }

    private void ReadObject(ReadOnlySpan<byte> data)
    {
        var reader = new Utf8JsonReader(data, Reading);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            Signs = EventSigns.Malformed;
            return;
        }

        var known = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("choices"u8))
            {
                known = true;
                ReadChoices(ref reader);
            }
            else if (reader.ValueTextEquals("usage"u8))
            {
                var value = reader;
                value.Read();
                Usage = Forwarding.Usage.Read(ref value);
                UsageField = JsonField.Skip(ref reader);
            }
            else if (reader.ValueTextEquals("prompt_token_ids"u8))
            {
                PromptTokenIds = JsonField.Skip(ref reader);
            }
            else if (reader.ValueTextEquals("error"u8))
            {
                Signs |= EventError.Read(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }

        reader.Read(); // anything behind the object is an error
        if (!known && Signs == EventSigns.None)
            (Signs, HasMore) = (EventSigns.Content, true);
    }

    private void ReadChoices(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }

        HasNoChoices = true;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            HasMore |= !HasNoChoices; // a second one
            HasNoChoices = false;
            if (reader.TokenType == JsonTokenType.StartObject)
                ReadChoice(ref reader);
            else
                reader.Skip();
        }
    }

    private void ReadChoice(ref Utf8JsonReader reader)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("delta"u8))
            {
                ReadDelta(ref reader);
            }
            else if (reader.ValueTextEquals("text"u8))
            {
                ReadText(ref reader);
            }
            else if (reader.ValueTextEquals("finish_reason"u8))
            {
                FinishReason = JsonField.Skip(ref reader);
                Signs |= reader.TokenType == JsonTokenType.String ? EventSigns.Finish : EventSigns.None;
            }
            else if (reader.ValueTextEquals("index"u8))
            {
                reader.Read();
                Choice = reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var index) ? index : 0;
                HasMore |= Choice != 0;
                reader.Skip();
            }
            else if (reader.ValueTextEquals("token_ids"u8))
            {
                TokenIds = JsonField.Skip(ref reader);
            }
            else if (reader.ValueTextEquals("prompt_token_ids"u8))
            {
                PromptTokenIds = JsonField.Skip(ref reader);
            }
            else if (reader.ValueTextEquals("stop_reason"u8))
            {
                StopReason = JsonField.Skip(ref reader);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private void ReadDelta(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        HasEmptyDelta = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            HasEmptyDelta = false;
            if (reader.ValueTextEquals("content"u8))
            {
                ReadText(ref reader);
                continue;
            }

            var role = reader.ValueTextEquals("role"u8);
            reader.Read();
            if (!role && IsSomething(ref reader))
            {
                Signs |= EventSigns.Content;
                HasMore = true;
            }

            reader.Skip();
        }
    }

    private void ReadText(ref Utf8JsonReader reader)
    {
        var value = reader;
        value.Read();
        if (IsSomething(ref value))
        {
            Signs |= EventSigns.Content;
            HasMore |= value.TokenType != JsonTokenType.String;
        }

        Text = JsonField.Skip(ref reader);
    }

    private static bool IsSomething(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.Null => false,
        JsonTokenType.String => reader.ValueSpan.Length > 0,
        JsonTokenType.StartArray => !IsEmptyArray(reader),
        _ => true,
    };

    private static bool IsEmptyArray(Utf8JsonReader copy) => copy.Read() && copy.TokenType == JsonTokenType.EndArray;
}
