using ValueCanvas.Api.Accounts.OpenIdConnect;
using ValueCanvas.Api.Requests;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.Errors;

/// <summary>The one place where what went wrong becomes a status, a code and a text.</summary>
internal static class Failures
{
    private static readonly TimeSpan ShortWait = TimeSpan.FromSeconds(2);

    /// <summary>Null where the client has gone: there is nobody to tell.</summary>
    public static Failure? From(Exception exception, HttpContext context)
    {
        if (Inner<BadHttpRequestException>(exception) is { } badRequest)
            return From(badRequest, context);
        return exception switch
        {
            RequestException e => new(e.Status, e.Code ?? CodeOf(e.Status), e.Message, e.Errors, e.RetryAfter)
            {
                OpenAiType = e.OpenAiType,
            },
            _ when context.RequestAborted.IsCancellationRequested => null,
            InferenceException e => From(e),
            ProviderException => new(
                502, "provider_unavailable", "The sign-in provider cannot be reached, or answers wrongly. Try again.",
                RetryAfter: ShortWait),
            OperationCanceledException => new(503, "shutting_down", "The service is shutting down. Try again.", RetryAfter: ShortWait),
            _ when DatabaseErrors.IsUnavailable(exception) =>
                new(503, "database_unavailable", "The database cannot be reached at the moment. Try again shortly.", RetryAfter: ShortWait),
            _ => new(500, "internal_error", "Something went wrong on our side. If it happens again, report the traceId."),
        };
    }

    /// <summary>For a status that something set without saying why: an unknown route, a method that does not exist.</summary>
    public static Failure FromStatus(HttpContext context) => context.Response.StatusCode switch
    {
        404 => new(404, "not_found", $"There is nothing at {context.Request.Path}. Check the path."),
        405 => new(405, CodeOf(405), $"{context.Request.Method} does not work here; allowed: {context.Response.Headers.Allow}."),
        var status => new(status, CodeOf(status), "The request was refused."),
    };

    private static Failure From(InferenceException exception) => exception.Kind switch
    {
        InferenceFailure.BadRequest => new(400, CodeOf(400), exception.Message),
        InferenceFailure.ModelNotFound => new(404, "model_not_found", exception.Message),
        InferenceFailure.RateLimited => new(429, "rate_limited", exception.Message, RetryAfter: exception.RetryAfter ?? ShortWait),
        InferenceFailure.BudgetExceeded => new(429, "budget_exceeded", exception.Message, RetryAfter: exception.RetryAfter),
        InferenceFailure.Timeout => new(504, "inference_timeout", exception.Message, RetryAfter: exception.RetryAfter ?? ShortWait),
        InferenceFailure.InvalidAnswer => new(502, "invalid_answer", exception.Message, RetryAfter: exception.RetryAfter ?? ShortWait),
        InferenceFailure.KeysUnreadable => new(503, "provider_keys_unreadable", exception.Message),
        _ => new(503, "inference_unavailable", exception.Message, RetryAfter: exception.RetryAfter ?? ShortWait),
    };

    private static Failure? From(BadHttpRequestException exception, HttpContext context) => exception.StatusCode switch
    {
        _ when context.RequestAborted.IsCancellationRequested => null,
        413 => new(413, CodeOf(413), BodyLimit.Of(context).TooLarge().Message),
        408 => new(408, "request_timeout", "The body did not arrive in time. Send it again."),
        var status => new(status, CodeOf(status), "The request could not be read. Check its headers and its body."),
    };

    private static string CodeOf(int status) => status switch
    {
        404 => "not_found",
        405 => "method_not_allowed",
        413 => "body_too_large",
        >= 500 => "internal_error",
        _ => "invalid_request",
    };

    private static T? Inner<T>(Exception exception) where T : Exception
    {
        for (var e = exception; e is not null; e = e.InnerException)
        {
            if (e is T found)
                return found;
        }

        return null;
    }
}
