namespace ValueCanvas.Api.Audit;

/// <summary>
/// Outermost: sees how every request ended. A change of which its feature said nothing is recorded by its route, so none is forgotten;
/// so is what was refused as not allowed or as an attack.
/// </summary>
internal sealed class AuditRequests(RequestDelegate next, AuditLog audit)
{
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
        }
        finally
        {
            // Also where an answer broke off after it had begun.
            Note(context);
        }
    }

    private void Note(HttpContext context)
    {
        if (AuditLog.Knows(context))
            return;
        if (context.Response.StatusCode is >= 200 and < 300)
        {
            if (IsChange(context.Request.Method) && context.GetEndpoint() is { } endpoint
                && endpoint.Metadata.GetMetadata<NotAudited>() is null)
            {
                audit.Record(context, new("request.changed") { Details = Describe(context) });
            }
        }
        else if (Suspicion.Of(context) is { } suspicion || IsRefusal(context.Response.StatusCode, out suspicion))
        {
            audit.Record(context, new("request.refused", AuditOutcome.Denied) { Details = [("reason", suspicion), .. Describe(context)] });
        }
    }

    private static bool IsChange(string method) =>
        !(HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || HttpMethods.IsOptions(method));

    private static bool IsRefusal(int status, out string reason)
    {
        reason = status switch
        {
            StatusCodes.Status401Unauthorized => "not signed in",
            StatusCodes.Status403Forbidden => "not allowed",
            StatusCodes.Status413PayloadTooLarge => "too large",
            _ => "",
        };
        return reason.Length > 0;
    }

    // The route, not the path: paths are the client's to write.
    private static (string, string?)[] Describe(HttpContext context) =>
    [
        ("method", context.Request.Method),
        ("route", (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText?.TrimEnd('/')),
        ("status", context.Response.StatusCode.ToString(System.Globalization.CultureInfo.InvariantCulture)),
    ];
}

/// <summary>Metadata of an endpoint that changes nothing worth a row of its own.</summary>
/// <param name="Why">For the reader of the code.</param>
internal sealed record NotAudited(string Why);

/// <summary>What marks a request as an attack or a probe: whoever refuses it says so, and the log tells it.</summary>
internal sealed record Suspicion(string Reason)
{
    public static void Raise(HttpContext context, string reason) => context.Features.Set(new Suspicion(reason));

    public static string? Of(HttpContext context) => context.Features.Get<Suspicion>()?.Reason;
}
