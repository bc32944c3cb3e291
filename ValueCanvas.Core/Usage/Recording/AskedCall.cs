using System.Text.Json;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>What a request says of what it may cost.</summary>
/// <param name="Model">As it was asked for; null where it was not looked.</param>
/// <param name="MaxOutput">The most tokens of an answer; null where the request does not say.</param>
/// <param name="Choices">How many answers.</param>
/// <param name="Bytes">Of the body; 0 where nobody knows.</param>
internal sealed record AskedCall(string? Model, int? MaxOutput, int Choices, long Bytes)
{
    // Larger bodies go on as they come, and are read here only where a budget must know.
    private const long SmallBody = 256 * 1024;
    private const int LongestModel = 256;

    public static async ValueTask<AskedCall> ReadAsync(HttpRequestMessage request, bool always, CancellationToken cancellationToken)
    {
        if (request.Content is not { } content)
            return new(null, null, 1, 0);
        var length = content.Headers.ContentLength;
        if (!always && ((length is null && content is StreamContent) || length > SmallBody || content.Headers.ContentEncoding.Count > 0))
            return new(null, null, 1, length ?? 0);
        var body = await content.ReadAsByteArrayAsync(cancellationToken);
        return Read(body);
    }

    public static AskedCall Read(ReadOnlySpan<byte> body)
    {
        string? model = null;
        int? maxTokens = null, maxCompletion = null;
        var choices = 1;
        var bytes = body.Length;
        if (body.StartsWith("\uFEFF"u8))
            body = body[3..];
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 256 });
        try
        {
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("model"u8))
                    model = reader.Read() && reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
                else if (reader.ValueTextEquals("max_tokens"u8))
                    maxTokens = Count(ref reader);
                else if (reader.ValueTextEquals("max_completion_tokens"u8))
                    maxCompletion = Count(ref reader);
                else if (reader.ValueTextEquals("n"u8) || reader.ValueTextEquals("best_of"u8))
                    choices = Math.Max(choices, Count(ref reader) ?? 1);
                else
                    reader.Read();
                reader.Skip();
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // The model server says what is wrong with it.
        }

        return new(Plain(model), maxCompletion ?? maxTokens, choices, bytes);
    }

    /// <summary>As the table can keep it.</summary>
    public static string? Plain(string? name) => name is null ? null
        : (name.Length > LongestModel ? name[..LongestModel] : name).Replace("\0", "", StringComparison.Ordinal);

    private static int? Count(ref Utf8JsonReader reader) =>
        reader.Read() && reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var count) && count > 0 ? count : null;
}
