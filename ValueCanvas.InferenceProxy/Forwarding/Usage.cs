using System.Text.Json;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>What a server says that an answer cost, in tokens. Prompt tokens include the cached ones, completion tokens those of
/// reasoning.</summary>
internal readonly record struct Usage(int PromptTokens, int CompletionTokens, int CachedTokens = 0, int ReasoningTokens = 0)
{
    /// <summary>Reads the object that the reader stands on; null where it is none, or has no counts.</summary>
    public static Usage? Read(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return null;
        }

        int? prompt = null, completion = null;
        var (cached, reasoning) = (0, 0);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("prompt_tokens"u8))
            {
                prompt = Count(ref reader);
            }
            else if (reader.ValueTextEquals("completion_tokens"u8))
            {
                completion = Count(ref reader);
            }
            else if (reader.ValueTextEquals("prompt_tokens_details"u8))
            {
                cached = Detail(ref reader, "cached_tokens"u8);
            }
            else if (reader.ValueTextEquals("completion_tokens_details"u8))
            {
                reasoning = Detail(ref reader, "reasoning_tokens"u8);
            }
            else
            {
                reader.Skip();
            }
        }

        return prompt is null && completion is null ? null : new Usage(prompt ?? 0, completion ?? 0, cached, reasoning);
    }

    /// <summary>Finds it in a whole answer, or in the end of one: the last object of that name. Null where there is none.</summary>
    public static Usage? Find(ReadOnlySpan<byte> answer)
    {
        var name = "\"usage\""u8; // within a string its quotes would be escaped
        var at = answer.LastIndexOf(name);
        if (at < 0 || answer[(at + name.Length)..].TrimStart(" \t\r\n"u8) is not [(byte)':', .. var value])
            return null;

        try
        {
            var reader = new Utf8JsonReader(value, isFinalBlock: true, default); // what stands behind the object is not read
            return reader.Read() ? Read(ref reader) : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null; // cut off, or no JSON
        }
    }

    private static int? Count(ref Utf8JsonReader reader)
    {
        reader.Read();
        int? count = reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var number) ? number : null;
        reader.Skip();
        return count;
    }

    private static int Detail(ref Utf8JsonReader reader, ReadOnlySpan<byte> name)
    {
        var count = 0;
        reader.Read();
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals(name))
                {
                    count = Count(ref reader) ?? 0;
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        else
        {
            reader.Skip();
        }

        return count;
    }
}
