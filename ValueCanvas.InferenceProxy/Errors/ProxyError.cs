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

    public static ProxyError TooManyBodies { get; } =
        new(StatusCodes.Status503ServiceUnavailable, "server_error", "overloaded", null,
            "Too many large requests are under way (Inference:MaxBufferedBytes). Try again shortly.", TimeSpan.FromSeconds(1));

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

    public static ProxyError Busy(string model, TimeSpan retryAfter) =>
        new(StatusCodes.Status503ServiceUnavailable, "server_error", "overloaded", null,
            $"All model servers of '{model}' are busy and no place came free in time. Try again later.", retryAfter);

    public static ProxyError TenantBusy(TimeSpan retryAfter) =>
        new(StatusCodes.Status429TooManyRequests, "rate_limit_error", "too_many_waiting", null,
            "More of your requests wait for a model server than your share allows. Send fewer at the same time, or try again later.",
            retryAfter);

    public static ProxyError UnknownReplica(IEnumerable<string> known) =>
        new(StatusCodes.Status404NotFound, "invalid_request_error", "replica_not_found", null,
            $"There is no replica of that name. There are: {string.Join(", ", known)}.");

    public static ProxyError AnswerTooLarge { get; } =
        new(StatusCodes.Status502BadGateway, "server_error", "answer_too_large", null,
            "The batch's answers together are larger than Inference:Batch:MaxAnswerBytes. Send fewer requests in one batch.");

    public static ProxyError AnswerInterrupted { get; } =
        new(StatusCodes.Status502BadGateway, "server_error", "answer_interrupted", null, "The model server's answer broke before its end.");

    public static ProxyError DeadlinePassed { get; } =
        new(StatusCodes.Status504GatewayTimeout, "server_error", "deadline_exceeded", null,
            "The request's deadline passed before a model server had a place for it.");

    public static ProxyError CredentialsExhausted(string model) =>
        new(StatusCodes.Status502BadGateway, "server_error", "upstream_credentials_exhausted", null,
            $"No provider of '{model}' accepts the keys that are configured here. Check Inference:Providers:*:ApiKeys; "
            + "GET /providers says more.");

    public static ProxyError TenantKeyRefused(string provider) =>
        new(StatusCodes.Status502BadGateway, "server_error", "provider_key_refused", null,
            $"The provider '{provider}' does not accept your own key of it, or its account is exhausted. Set another with "
            + $"PUT /api/provider-keys/{provider}, or delete it.");

    public static ProxyError Unsupported(string model, string path) =>
        BadRequest($"The model '{model}' is served by a provider that has no {path}; use /v1/chat/completions.",
            "model", "unsupported_operation");

    public static ProxyError Uncountable(string model) =>
        BadRequest($"The provider of '{model}' cannot count tokens without answering; the answer's usage tells them.",
            "model", "unsupported_operation");

    public static ProxyError MethodNotAllowed { get; } =
        new(StatusCodes.Status405MethodNotAllowed, "invalid_request_error", "method_not_allowed", null, "Only POST is answered here.");

    public static ProxyError NoAnswer { get; } =
        new(StatusCodes.Status504GatewayTimeout, "server_error", "upstream_timeout", null, "The model server did not answer in time.");

    public static ProxyError StreamInterrupted { get; } =
        new(StatusCodes.Status502BadGateway, "server_error", "stream_interrupted", null,
            "The model server's stream broke before its end; the answer above is incomplete.");

    public static ProxyError UnknownPath { get; } =
        new(StatusCodes.Status404NotFound, "invalid_request_error", "unknown_url", null,
            "There is nothing here. Use POST /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/messages or GET /v1/models.");

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
