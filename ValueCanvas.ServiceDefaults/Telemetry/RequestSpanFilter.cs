using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

namespace ValueCanvas.ServiceDefaults.Telemetry;

/// <summary>
/// Completes ASP.NET Core's server span with what the framework leaves out: the name <c>METHOD route</c>, <c>http.route</c>, the status
/// code, <c>error.type</c>, the span's status and the exception event.
/// </summary>
internal sealed class RequestSpanFilter : IStartupFilter
{
    private const int ClientClosedRequest = 499;

    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        app.Use(static (HttpContext context, RequestDelegate rest) =>
            context.Features.Get<IHttpActivityFeature>()?.Activity is { IsAllDataRequested: true } span
                ? ObserveAsync(context, rest, span)
                : rest(context));
        next(app);
    };

    private static async Task ObserveAsync(HttpContext context, RequestDelegate rest, Activity span)
    {
        var status = StatusCodes.Status500InternalServerError;
        Exception? failure = null;
        try
        {
            await rest(context);
            status = context.Response.StatusCode;
        }
        catch (Exception e) when (Note(e, out failure))
        {
            throw;
        }
        finally
        {
            Describe(context, span, status, failure);
        }
    }

    // A filter that never catches: the exception goes on with its stack untouched.
    private static bool Note(Exception thrown, out Exception? failure)
    {
        failure = thrown;
        return false;
    }

    private static void Describe(HttpContext context, Activity span, int status, Exception? failure)
    {
        var handled = context.Features.Get<IExceptionHandlerFeature>();
        failure ??= handled?.Error;
        if (context.RequestAborted.IsCancellationRequested && failure is null or OperationCanceledException or IOException)
        {
            // The client has gone: not an error of this service, whatever was on its way.
            (status, failure) = (context.Response.HasStarted ? context.Response.StatusCode : ClientClosedRequest, null);
        }

        var method = HttpMethods.GetCanonicalizedValue(context.Request.Method);
        var route = ((context.GetEndpoint() ?? handled?.Endpoint) as RouteEndpoint)?.RoutePattern.RawText;
        span.DisplayName = route is null ? method : $"{method} {route}";
        span.SetTag("http.route", route);
        span.SetTag("http.response.status_code", status);

        if (failure is not null)
        {
            span.AddException(failure);
            span.SetTag("error.type", failure.GetType().FullName);
            span.SetStatus(ActivityStatusCode.Error);
        }
        else if (status >= StatusCodes.Status500InternalServerError)
        {
            span.SetTag("error.type", status.ToString(CultureInfo.InvariantCulture));
            span.SetStatus(ActivityStatusCode.Error);
        }
    }
}
