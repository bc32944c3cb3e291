using Microsoft.Extensions.Options;

namespace ValueCanvas.Api.Protection;

/// <summary>What browsers are told with every answer, also with refusals: set when the answer starts, so that nothing clears it.</summary>
internal sealed class AnswerHeaders(RequestDelegate next, IOptions<ProtectionOptions> options)
{
    private const string Nowhere =
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()";

    // A year, as lists of such hosts want it. Only over HTTPS: a browser ignores it elsewhere.
    private const string StrictTransport = "max-age=31536000; includeSubDomains";

    private readonly bool _crossOrigin = options.Value.AllowedOrigins.Count > 0;

    public Task InvokeAsync(HttpContext context)
    {
        context.Response.OnStarting(
            state =>
            {
                Set((HttpContext)state, _crossOrigin);
                return Task.CompletedTask;
            },
            context);
        return next(context);
    }

    private static void Set(HttpContext context, bool crossOrigin)
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = PageNonce.PolicyOf(context);
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Permissions-Policy"] = Nowhere;
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        if (headers.CacheControl.Count == 0)
            headers.CacheControl = "no-store";
        if (crossOrigin && !headers.Vary.ToString().Contains("Origin", StringComparison.OrdinalIgnoreCase))
            headers.Append("Vary", "Origin");
        if (context.Request.IsHttps && !IsLocal(context.Request.Host.Host))
            headers.StrictTransportSecurity = StrictTransport;
        // Of model servers, whose answers pass here.
        headers.Remove("Server");
        headers.Remove("X-Powered-By");
    }

    // A developer's other services on the same host need not be HTTPS.
    private static bool IsLocal(string host) => host is "localhost" or "127.0.0.1" or "[::1]" or "::1";
}
