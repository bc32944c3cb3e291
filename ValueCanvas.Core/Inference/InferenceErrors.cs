using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using ValueCanvas.Core.Usage.Budgets;

namespace ValueCanvas.Core.Inference;

/// <summary>The one place where what the proxy answers, or fails to, becomes an <see cref="InferenceException"/>.</summary>
internal static class InferenceErrors
{
    private const int MaxErrorBytes = 64 * 1024;

    public static InferenceException Unreachable(HttpRequestException cause) =>
        new(InferenceFailure.Unavailable, "The inference service cannot be reached at the moment. Try again shortly.", cause)
        {
            IsOutage = cause.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
                or HttpRequestError.SecureConnectionError,
        };

    public static InferenceException BrokenOff(Exception? cause = null) =>
        new(InferenceFailure.Unavailable, "The model's answer broke off before it was complete. Try again.", cause);

    public static InferenceException Unreadable(Exception? cause = null) =>
        new(InferenceFailure.InvalidAnswer, "The model server's answer could not be read. Try again.", cause);

    /// <summary>From an error object inside a stream that had begun with status 200.</summary>
    public static InferenceException FromEvent(WireError error) =>
        new(KindOfEvent(error), Text(error) ?? "The model server reported an error in the middle of its answer. Try again.");

    /// <summary>From a status that is not a success.</summary>
    public static async Task<InferenceException> FromResponseAsync(
        HttpResponseMessage response, TimeProvider time, CancellationToken cancellationToken)
    {
        var error = await ReadErrorAsync(response.Content, cancellationToken);
        var kind = KindOf(response.StatusCode, error);
        var message = kind switch
        {
            // Only messages about the request itself are the caller's business; the others can tell of the inside.
            InferenceFailure.BadRequest => Text(error) ?? "The model server refused the request as it is.",
            InferenceFailure.ModelNotFound => Text(error) ?? "No model of that name is served.",
            InferenceFailure.BudgetExceeded => Text(error) ?? "The budget is used up.",
            InferenceFailure.RateLimited => "The model servers are at their limit. Try again after the time in Retry-After.",
            InferenceFailure.Timeout => "The model servers did not answer in time. Try again, or ask for a shorter answer.",
            _ => "No model server can answer at the moment. Try again shortly.",
        };
        return new InferenceException(kind, message, retryAfter: RetryAfter(response.Headers.RetryAfter, time))
        {
            IsOutage = kind == InferenceFailure.Unavailable && response.StatusCode == HttpStatusCode.ServiceUnavailable,
        };
    }

    private static InferenceFailure KindOf(HttpStatusCode status, WireError? error) => status switch
    {
        HttpStatusCode.NotFound => InferenceFailure.ModelNotFound,
        _ when CodeOf(error) == BudgetRefusal.Code => InferenceFailure.BudgetExceeded,
        _ when CodeOf(error) == "model_not_found" => InferenceFailure.ModelNotFound,
        HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.UnprocessableEntity =>
            InferenceFailure.BadRequest,
        HttpStatusCode.TooManyRequests => InferenceFailure.RateLimited,
        HttpStatusCode.RequestTimeout or HttpStatusCode.GatewayTimeout => InferenceFailure.Timeout,
        // 401 and 403 mean that the platform's own credentials are wrong: for the caller the models are away.
        _ => InferenceFailure.Unavailable,
    };

    private static InferenceFailure KindOfEvent(WireError error) => CodeOf(error) switch
    {
        "429" or "rate_limit_exceeded" => InferenceFailure.RateLimited,
        "400" or "invalid_request_error" => InferenceFailure.BadRequest,
        "408" or "504" or "timeout" or "upstream_timeout" => InferenceFailure.Timeout,
        _ when error.Type == "invalid_request_error" => InferenceFailure.BadRequest,
        _ => InferenceFailure.Unavailable,
    };

    private static string? CodeOf(WireError? error) => error?.Code.ValueKind switch
    {
        JsonValueKind.String => error.Code.GetString(),
        JsonValueKind.Number => error.Code.TryGetInt32(out var number) ? number.ToString(CultureInfo.InvariantCulture) : null,
        _ => null,
    };

    private static string? Text(WireError? error) => string.IsNullOrWhiteSpace(error?.Message) ? null : error.Message;

    private static TimeSpan? RetryAfter(RetryConditionHeaderValue? header, TimeProvider time)
    {
        var wait = header?.Delta ?? (header?.Date is { } date ? date - time.GetUtcNow() : null);
        return wait is { } known && known >= TimeSpan.Zero ? known : null;
    }

    private static async Task<WireError?> ReadErrorAsync(HttpContent content, CancellationToken cancellationToken)
    {
        try
        {
            await content.LoadIntoBufferAsync(MaxErrorBytes, cancellationToken);
            var body = await content.ReadAsByteArrayAsync(cancellationToken);
            return JsonSerializer.Deserialize(body, WireContext.Default.WireFailure)?.Error;
        }
        catch (Exception e) when (e is JsonException or HttpRequestException or IOException)
        {
            return null;
        }
    }
}
