using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using ValueCanvas.Api.Responses;

namespace ValueCanvas.Api.Errors;

/// <summary>RFC 9457, with the errors by field and the trace that an operator can look up.</summary>
internal sealed record Problem(
    string Type,
    string Title,
    int Status,
    string Detail,
    string Instance,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyDictionary<string, string[]>? Errors,
    string TraceId);

/// <summary>OpenAI's error object; its four keys are always there.</summary>
internal sealed record OpenAiErrorBody(OpenAiError Error);

internal sealed record OpenAiError(string Message, string Type, string? Param, string? Code);

/// <summary>Anthropic's error object.</summary>
internal sealed record AnthropicErrorBody(AnthropicError Error, [property: JsonPropertyName("request_id")] string RequestId)
{
    [JsonPropertyOrder(-1)]
    public string Type { get; } = "error";
}

internal sealed record AnthropicError(string Type, string Message);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Problem))]
[JsonSerializable(typeof(OpenAiErrorBody))]
[JsonSerializable(typeof(AnthropicErrorBody))]
internal sealed partial class ErrorContext : JsonSerializerContext;

internal static class ErrorBodies
{
    public const string ProblemMediaType = "application/problem+json";

    private static readonly ErrorContext Context = new(JsonText.Options);

    public static byte[] Problem(Failure failure, HttpContext context) => JsonSerializer.SerializeToUtf8Bytes(
        new Problem(
            $"urn:valuecanvas:problem:{failure.Code.Replace('_', '-')}",
            failure.Title,
            failure.Status,
            failure.Detail,
            context.Request.Path.ToUriComponent(),
            failure.Errors,
            TraceId(context)),
        Context.Problem);

    public static byte[] OpenAi(Failure failure) => JsonSerializer.SerializeToUtf8Bytes(
        new OpenAiErrorBody(new(
            failure.Detail,
            failure.OpenAiType ?? failure.Status switch
            {
                429 => "rate_limit_error",
                >= 500 => "server_error",
                _ => "invalid_request_error",
            },
            failure.Errors?.Keys.FirstOrDefault(),
            failure.Code)),
        Context.OpenAiErrorBody);

    public static byte[] Anthropic(Failure failure, HttpContext context) => JsonSerializer.SerializeToUtf8Bytes(
        new AnthropicErrorBody(
            new(
                failure.Status switch
                {
                    401 => "authentication_error",
                    403 => "permission_error",
                    404 => "not_found_error",
                    413 => "request_too_large",
                    429 => "rate_limit_error",
                    503 => "overloaded_error",
                    408 or 504 => "timeout_error",
                    >= 500 => "api_error",
                    _ => "invalid_request_error",
                },
                failure.Detail),
            AnthropicRequestId(context)),
        Context.AnthropicErrorBody);

    /// <summary>The trace as Anthropic's clients expect an id of a request to look.</summary>
    public static string AnthropicRequestId(HttpContext context) => $"req_{TraceId(context)}";

    /// <summary>What a request is found by in the traces; also the <c>requestId</c> of successes.</summary>
    public static string TraceId(HttpContext context) => Activity.Current?.TraceId.ToString() ?? context.TraceIdentifier;
}
