using System.Diagnostics;
using ValueCanvas.Api.Authentication;

namespace ValueCanvas.Api.Usage.Requests;

/// <summary>Outermost but for the audit: sees how a request ended, and how long it took.</summary>
internal sealed class RequestLogging(RequestDelegate next, RequestLog log, TimeProvider time)
{
    private const string NoRoute = "(none)";

    private static readonly string Instance = Environment.MachineName;

    public async Task InvokeAsync(HttpContext context)
    {
        var started = time.GetTimestamp();
        try
        {
            await next(context);
        }
        finally
        {
            // What is mapped outside of the product's routes is the probes'.
            if (context.GetEndpoint() is not RouteEndpoint { RoutePattern.RawText: { } route } || IsOurs(route))
                Note(context, started);
        }
    }

    private static bool IsOurs(string route) =>
        !route.Contains("health", StringComparison.Ordinal) && !route.StartsWith("/ready", StringComparison.Ordinal);

    private void Note(HttpContext context, long started)
    {
        var caller = Caller.Find(context);
        log.Note(new RequestRow(
            time.GetUtcNow(),
            context.Request.Method is { Length: <= 16 } method ? method : "(other)",
            (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? NoRoute,
            context.Response.StatusCode,
            Math.Round(time.GetElapsedTime(started).TotalMilliseconds, 3),
            caller?.TenantId,
            caller?.UserId,
            caller?.ApiKeyId,
            Activity.Current?.TraceId.ToString(),
            Instance));
    }
}
