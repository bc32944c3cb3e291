using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Protection;

/// <summary>
/// Behind a known proxy that says a client came by plain HTTP: a page is sent to HTTPS; a call of the API, which has sent its key in the
/// clear, is refused, for a silent redirect would let that go on unnoticed. Without a known proxy nothing is said or done.
/// </summary>
internal sealed class Https(RequestDelegate next)
{
    public Task InvokeAsync(HttpContext context)
    {
        if (context.Request.IsHttps || context.Features.Get<ViaProxy>() is not { SaidScheme: true })
            return next(context);
        if (!IsPage(context.Request))
        {
            throw new RequestException(
                StatusCodes.Status403Forbidden, "Use https: over plain HTTP the key can be read on its way. Replace the key.")
            {
                Code = "https_required",
            };
        }

        context.Response.StatusCode = StatusCodes.Status308PermanentRedirect;
        context.Response.Headers.Location = $"https://{context.Request.Host.Host}{context.Request.Path}{context.Request.QueryString}";
        return Task.CompletedTask;
    }

    private static bool IsPage(HttpRequest request) =>
        (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method))
        && request.Headers.Authorization.Count == 0 && !request.Headers.ContainsKey("x-api-key") && request.Headers.Cookie.Count == 0
        && request.Host.HasValue;
}
