using System.Buffers;
using System.Text.Json;
using ValueCanvas.InferenceProxy.Providers.Anthropic;
using static ValueCanvas.InferenceProxy.Providers.Anthropic.AnthropicRequest;

namespace ValueCanvas.InferenceProxy.Messages;

/// <summary>Errors as Anthropic tells them: <c>{"type":"error","error":{"type","message"},"request_id"}</c>.</summary>
internal static class MessagesError
{
    /// <summary>Anthropic's status for an overloaded service, which its clients know where others have 503.</summary>
    public const int Overloaded = 529;

    public static int StatusOf(int status) => status == StatusCodes.Status503ServiceUnavailable ? Overloaded : status;

    /// <summary>An OpenAI error object, or whatever else came with this status.</summary>
    public static byte[] Translate(ReadOnlyMemory<byte> body, int status, string requestId)
    {
        string? message = null;
        try
        {
            using var document = JsonDocument.Parse(body);
            message = Get(document.RootElement, "error", JsonValueKind.Object) is { } error ? Text(error, "message") : null;
        }
        catch (JsonException)
        {
            // Something in between answered, in a language of its own.
        }

        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer, AnthropicAnswer.Writing))
        {
            json.WriteStartObject();
            json.WriteString("type"u8, "error"u8);
            WriteRest(json, TypeOf(status), message ?? $"The provider answered {status}.", requestId);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Of an error in a stream, which has no status of its own.</summary>
    public static void WriteEvent(Utf8JsonWriter json, JsonElement error, string requestId)
    {
        var type = Get(error, "code", JsonValueKind.Number) is { } code && code.TryGetInt32(out var status) ? TypeOf(status)
            : (Text(error, "code"), Text(error, "type")) switch
            {
                ("overloaded" or "overloaded_error" or "no_healthy_replica", _) => "overloaded_error",
                ("upstream_timeout" or "deadline_exceeded", _) => "timeout_error",
                (_, "rate_limit_error") => "rate_limit_error",
                (_, "invalid_request_error") => "invalid_request_error",
                _ => "api_error",
            };
        WriteRest(json, type, Text(error, "message") ?? "The provider's stream ended in an error.", requestId);
    }

    private static void WriteRest(Utf8JsonWriter json, string type, string message, string requestId)
    {
        json.WriteStartObject("error"u8);
        json.WriteString("type"u8, type);
        json.WriteString("message"u8, message);
        json.WriteEndObject();
        json.WriteString("request_id"u8, requestId);
    }

    private static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 or Overloaded => "overloaded_error",
        408 or 504 => "timeout_error",
        >= 400 and < 500 => "invalid_request_error",
        _ => "api_error",
    };
}
