using System.Text.Json;

namespace ValueCanvas.Api.RateLimiting.Tokens;

/// <summary>
/// What a request's body says of its size. A body that is not JSON says nothing: to refuse it is the endpoint's business.
/// </summary>
internal readonly record struct BodyPeek(string? Model, int? MaxOutput, int Choices, long PromptBytes, int MediaParts)
{
    // Longer than any link: the medium itself, which costs by its size in pixels or seconds, not in bytes.
    private const int ShortestMedium = 1024;

    public static BodyPeek Read(ReadOnlySpan<byte> body)
    {
        var peek = new BodyPeek(null, null, 1, body.Length, 0);
        if (body.StartsWith("\uFEFF"u8))
            body = body[3..];
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 256 });
        try
        {
            int? maxTokens = null, maxCompletion = null;
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.String && reader.CurrentDepth > 1)
                    peek = Media(reader, peek);
                if (reader.TokenType != JsonTokenType.PropertyName || reader.CurrentDepth != 1)
                    continue;
                if (reader.ValueTextEquals("model"u8))
                    peek = reader.Read() && reader.TokenType == JsonTokenType.String ? peek with { Model = reader.GetString() } : peek;
                else if (reader.ValueTextEquals("max_tokens"u8) || reader.ValueTextEquals("maxTokens"u8))
                    maxTokens = Count(ref reader) ?? maxTokens;
                else if (reader.ValueTextEquals("max_completion_tokens"u8))
                    maxCompletion = Count(ref reader) ?? maxCompletion;
                else if (reader.ValueTextEquals("n"u8) || reader.ValueTextEquals("best_of"u8))
                    peek = peek with { Choices = Math.Max(peek.Choices, Count(ref reader) ?? 1) };
                peek = peek with { MaxOutput = maxCompletion ?? maxTokens };
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // What was read until here is better than nothing.
        }

        return peek;
    }

    private static int? Count(ref Utf8JsonReader reader) =>
        reader.Read() && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var count) && count > 0 ? count : null;

    private static BodyPeek Media(in Utf8JsonReader reader, in BodyPeek peek)
    {
        if (reader.ValueTextEquals("image_url"u8) || reader.ValueTextEquals("input_audio"u8) || reader.ValueTextEquals("file"u8)
            || reader.ValueTextEquals("image"u8))
        {
            return peek with { MediaParts = peek.MediaParts + 1 };
        }

        return reader.ValueSpan.Length >= ShortestMedium && reader.ValueSpan.StartsWith("data:"u8)
            ? peek with { PromptBytes = peek.PromptBytes - reader.ValueSpan.Length }
            : peek;
    }
}
