using Microsoft.AspNetCore.Http.Features;
using ValueCanvas.Api.Audit;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.Protection;

/// <summary>
/// Refuses, before anything is routed, what no honest client sends: methods that echo, paths that mean two things, headers that contradict
/// each other. Headers by which services of ours speak to each other are taken off.
/// </summary>
internal sealed class RequestChecks(RequestDelegate next)
{
    private const string OwnPrefix = "x-valuecanvas-";

    /// <summary>Twice in one request, the one that is checked may not be the one that counts.</summary>
    private static readonly string[] Once = ["Authorization", "x-api-key", "Content-Type", "Origin", "X-CSRF-Token"];

    public Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        if (request.Method is "TRACE" or "TRACK" or "CONNECT")
        {
            Suspicion.Raise(context, "method");
            context.Response.Headers.Allow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
            throw new RequestException(StatusCodes.Status405MethodNotAllowed, $"{request.Method} is not answered here.");
        }

        var target = context.Features.Get<IHttpRequestFeature>()?.RawTarget;
        if ((RequestPaths.Problem(target) ?? HeaderProblem(request.Headers)) is var (reason, text))
        {
            Suspicion.Raise(context, reason);
            throw new RequestException(StatusCodes.Status400BadRequest, text);
        }

        TakeOff(request.Headers);
        return next(context);
    }

    private static (string Reason, string Text)? HeaderProblem(IHeaderDictionary headers)
    {
        foreach (var name in Once)
        {
            if (headers.TryGetValue(name, out var values) && values.Count > 1)
                return ("header twice", $"The header {name} is there more than once. Send one.");
        }

        // Kestrel reads such a body by its chunks and renames the length; a server before it may have read it by its length.
        return headers.TransferEncoding.Count > 0 && (headers.ContentLength is not null || headers.ContainsKey("X-Content-Length"))
            ? ("length and chunks", "A body has either a Content-Length or a Transfer-Encoding. Send one of them.")
            : null;
    }

    // With an underscore for a hyphen a name looks harmless here and is the same to some servers.
    private static void TakeOff(IHeaderDictionary headers)
    {
        List<string>? names = null;
        foreach (var (name, _) in headers)
        {
            if (name.Contains('_') || name.StartsWith(OwnPrefix, StringComparison.OrdinalIgnoreCase))
                (names ??= []).Add(name);
        }

        names?.ForEach(name => headers.Remove(name));
    }
}
