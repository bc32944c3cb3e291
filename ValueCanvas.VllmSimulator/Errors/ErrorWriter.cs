using System.Text.Encodings.Web;
using System.Text.Json;

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
}
