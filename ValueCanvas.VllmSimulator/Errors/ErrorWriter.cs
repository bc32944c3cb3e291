using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace ValueCanvas.VllmSimulator.Errors;

/// <summary>The one place where refusals become HTTP.</summary>
internal static class ErrorWriter
{
    public static async Task WriteAsync(HttpResponse response, ApiError error, CancellationToken cancellationToken)
    {
        response.StatusCode = error.Status;
        response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(response.BodyWriter, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        Write(json, error);
        await json.FlushAsync(cancellationToken);
    }

    public static void Write(Utf8JsonWriter json, ApiError error)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", error.Message);
        json.WriteString("type", error.Type);
        json.WriteString("param", error.Param);
        json.WriteNumber("code", error.Status);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>Reads a request body, or says what is wrong with it.</summary>
    public static async ValueTask<(T? Value, ApiError? Error)> ReadAsync<T>(HttpRequest request, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            var value = await JsonSerializer.DeserializeAsync(request.BodyReader, type, cancellationToken);
            return value is null ? (null, ApiError.BadRequest("The request body must be a JSON object, got null.")) : (value, null);
        }
        catch (JsonException e)
        {
            var where = string.IsNullOrEmpty(e.Path) || e.Path == "$" ? "The request body" : $"Field '{e.Path.TrimStart('$', '.')}'";
            return (null, ApiError.BadRequest(
                $"{where} is not what this endpoint takes: invalid JSON or a wrong type, at line {e.LineNumber + 1}, byte {e.BytePositionInLine}.",
                e.Path?.TrimStart('$', '.') is { Length: > 0 } path ? path : null));
        }
        catch (BadHttpRequestException e)
        {
            return (null, e.StatusCode == StatusCodes.Status413PayloadTooLarge
                ? ApiError.TooLarge("The request body is too large.")
                : ApiError.BadRequest("The request body could not be read."));
        }
    }
}
