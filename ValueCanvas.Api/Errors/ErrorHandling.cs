using Microsoft.AspNetCore.Diagnostics;

namespace ValueCanvas.Api.Errors;

/// <summary>
/// Outermost: answers whatever fails further in, in the language of the API that was called (<see cref="ErrorDialect"/>).
/// </summary>
internal sealed partial class ErrorHandling(RequestDelegate next, ILogger<ErrorHandling> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
        }
        catch (Exception e) when (!context.Response.HasStarted)
        {
            if (Failures.From(e, context) is not { } failure)
            {
                context.Response.StatusCode = Failure.ClientClosedRequest;
                return;
            }

            Note(context, e, failure);
            await WriteAsync(context, failure);
            return;
        }

        if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentType: null, ContentLength: null or 0 })
            await WriteAsync(context, Failures.FromStatus(context));
    }

    private void Note(HttpContext context, Exception exception, Failure failure)
    {
        if (failure.Status < 500)
            return;
        // From here telemetry takes the exception into the span. A refusal is no error of the service and stays out.
        context.Features.Set<IExceptionHandlerFeature>(
            new ExceptionHandlerFeature { Error = exception, Path = context.Request.Path, Endpoint = context.GetEndpoint() });
        if (failure.Status == 500)
            Log.Unexpected(logger, exception, context.Request.Method, context.GetEndpoint()?.DisplayName);
        else
            Log.Unavailable(logger, failure.Code, context.GetEndpoint()?.DisplayName, exception.GetType().Name);
    }

    private static async Task WriteAsync(HttpContext context, Failure failure)
    {
        var dialect = ErrorDialect.Of(context.Request.Path);
        var allow = context.Response.Headers.Allow;
        context.Response.Clear();
        context.Response.Headers.Allow = allow;
        context.Response.StatusCode = dialect.StatusOf(failure);
        if (failure.Status == StatusCodes.Status401Unauthorized)
            context.Response.Headers.WWWAuthenticate = "Bearer realm=\"ValueCanvas\"";
        context.Response.Headers.RetryAfter = failure.RetryAfterSeconds;
        context.Response.Headers.CacheControl = "no-store";
        dialect.Mark(context);
        var body = dialect.Body(failure, context);
        context.Response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "{Method} {Endpoint} failed in a way that nothing foresees")]
        public static partial void Unexpected(ILogger logger, Exception exception, string method, string? endpoint);

        [LoggerMessage(LogLevel.Warning, "Answered {Code} at {Endpoint}: {ExceptionType}")]
        public static partial void Unavailable(ILogger logger, string code, string? endpoint, string exceptionType);
    }
}
