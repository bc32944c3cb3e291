using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace ValueCanvas.InferenceProxy.Errors;

/// <summary>A refusal or failure as a value: everything the proxy itself says no to becomes one of these, and HTTP only in
/// <see cref="WriteAsync"/>. On the wire it is an OpenAI error object with all four keys.</summary>
internal sealed record ProxyError(int Status, string Type, string? Code, string? Param, string Message, TimeSpan? RetryAfter = null)
{
    // A body of type application/json, never HTML: quotes need no escapes.
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static ProxyError BadRequest(string message, string? param = null, string? code = null) =>
        new(StatusCodes.Status400BadRequest, "invalid_request_error", code, param, message);

    public static ProxyError TooLarge(long limit) =>
        new(StatusCodes.Status413PayloadTooLarge, "invalid_request_error", "request_too_large", null,
            $"The request body is larger than {limit} bytes. Send less, or raise Inference:MaxBodyBytes.");

    public static ProxyError UnknownModel(string model, IEnumerable<string> served) =>
        new(StatusCodes.Status404NotFound, "invalid_request_error", "model_not_found", "model",
            $"The model '{model}' does not exist here. Available: {string.Join(", ", served)}.");

    public static ProxyError NoReplica(string model, TimeSpan? wait = null) =>
        new(StatusCodes.Status503ServiceUnavailable, "server_error", "no_healthy_replica", null,
            $"No model server that serves '{model}' is available at the moment. Try again shortly.", wait ?? TimeSpan.FromSeconds(1));

    public static ProxyError RateLimited(string model, TimeSpan wait) =>
        new(StatusCodes.Status429TooManyRequests, "rate_limit_error", "rate_limit_exceeded", null,
            $"Every model server that serves '{model}' limits its rate at the moment. Wait as long as Retry-After says.", wait);

    public static ProxyError UpstreamFailed { get; } =
        new(StatusCodes.Status502BadGateway, "server_error", "upstream_failed", null, "The model server did not give a valid answer.");

    public static ProxyError NoAnswer { get; } =
        new(StatusCodes.Status504GatewayTimeout, "server_error", "upstream_timeout", null, "The model server did not answer in time.");

    public static ProxyError StreamInterrupted { get; } =
        new(StatusCodes.Status502BadGateway, "server_error", "stream_interrupted", null,
            "The model server's stream broke before its end; the answer above is incomplete.");

    public static ProxyError UnknownPath { get; } =
        new(StatusCodes.Status404NotFound, "invalid_request_error", "unknown_url", null,
            "There is nothing here. Use POST /v1/chat/completions, /v1/completions, /v1/embeddings or GET /v1/models.");

    public static ProxyError Internal { get; } =
        new(StatusCodes.Status500InternalServerError, "server_error", "internal_error", null, "The proxy failed on this request.");

    /// <summary>The object as UTF-8: <c>{"error":{"message","type","param","code"}}</c>.</summary>
    public byte[] ToJson()
    {
        using var buffer = new MemoryStream(256);
        using (var json = new Utf8JsonWriter(buffer, Writing))
        {
            json.WriteStartObject();
            json.WriteStartObject("error"u8);
            json.WriteString("message"u8, Message);
            json.WriteString("type"u8, Type);
            json.WriteString("param"u8, Param);
            json.WriteString("code"u8, Code);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    public async Task WriteAsync(HttpContext context)
    {
        var response = context.Response;
        response.StatusCode = Status;
        response.ContentType = "application/json";
        if (RetryAfter is { } wait)
        {
            // In whole seconds, and exactly for the clients that know it.
            response.Headers.RetryAfter = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
            response.Headers["retry-after-ms"] = Math.Ceiling(wait.TotalMilliseconds).ToString(CultureInfo.InvariantCulture);
        }

        var json = ToJson();
        response.ContentLength = json.Length;
        await response.Body.WriteAsync(json, context.RequestAborted);
    }
}
