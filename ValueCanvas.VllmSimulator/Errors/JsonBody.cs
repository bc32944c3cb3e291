using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace ValueCanvas.VllmSimulator.Errors;

/// <summary>Reads request bodies, or says what is wrong with them.</summary>
internal static class JsonBody
{
    public static async ValueTask<(T? Value, ApiError? Error)> ReadAsync<T>(HttpRequest request, JsonTypeInfo<T> type,
        CancellationToken cancellationToken)
        where T : class
    {
        var reader = request.BodyReader;
        try
        {
            ReadResult read;
            while (!(read = await reader.ReadAsync(cancellationToken)).IsCompleted)
                reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            var result = Parse(read.Buffer, type);
            reader.AdvanceTo(read.Buffer.End);
            return result;
        }
        catch (BadHttpRequestException e)
        {
            return (null, e.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? ApiError.TooLarge("The request body is too large.")
                : ApiError.BadRequest("The request body could not be read."));
        }
    }

    private static (T? Value, ApiError? Error) Parse<T>(ReadOnlySequence<byte> body, JsonTypeInfo<T> type)
        where T : class
    {
        var bytes = body.IsSingleSegment ? body.FirstSpan : body.ToArray();
        if (HasLoneSurrogate(bytes))
        {
            return (null, ApiError.BadRequest(
                "The request body has a \\u escape of half a surrogate pair in its messages or other texts, which is no character."));
        }

        try
        {
            return JsonSerializer.Deserialize(bytes, type) is { } value
                ? (value, null)
                : (null, ApiError.BadRequest("The request body must be a JSON object, got null."));
        }
        catch (JsonException e)
        {
            var path = e.Path?.TrimStart('$', '.');
            var where = string.IsNullOrEmpty(path) ? "The request body" : $"Field '{path}'";
            return (null, ApiError.BadRequest(
                $"{where} is not what this endpoint takes: invalid JSON or a wrong type, at line {e.LineNumber + 1}, "
                + $"byte {e.BytePositionInLine}.",
                string.IsNullOrEmpty(path) ? null : path));
        }
    }

    // Such a text can be parsed but not read; better refused here once than at every place that reads one.
    private static bool HasLoneSurrogate(ReadOnlySpan<byte> json)
    {
        for (int at; (at = json.IndexOf((byte)'\\')) >= 0 && at + 1 < json.Length;)
        {
            if (json[at + 1] != 'u')
            {
                json = json[(at + 2)..];
                continue;
            }
            json = json[at..];
            var high = Surrogate(json, "89abAB");
            if (Surrogate(json, "cdefCDEF") || (high && (json.Length < 12 || !Surrogate(json[6..], "cdefCDEF"))))
                return true;
            json = json[Math.Min(json.Length, high ? 12 : 6)..];
        }
        return false;

        static bool Surrogate(ReadOnlySpan<byte> text, string third) =>
            text.Length >= 6 && text[0] == '\\' && text[1] == 'u' && text[2] is (byte)'d' or (byte)'D' && third.Contains((char)text[3]);
    }
}
