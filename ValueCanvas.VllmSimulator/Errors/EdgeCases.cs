namespace ValueCanvas.VllmSimulator.Errors;

internal static class EdgeCases
{
    /// <summary>FastAPI's answers to a path or method that does not exist, in the error shape of all others.</summary>
    public static void UseUnknownPaths(this WebApplication app) => app.UseStatusCodePages(async context =>
    {
        var response = context.HttpContext.Response;
        var error = response.StatusCode switch
        {
            StatusCodes.Status404NotFound => new ApiError(404, "NotFoundError", $"There is nothing at {context.HttpContext.Request.Path}."),
            StatusCodes.Status405MethodNotAllowed => new ApiError(405, "MethodNotAllowedError", $"This path does not take {context.HttpContext.Request.Method}."),
            var status => new ApiError(status, status < 500 ? "BadRequestError" : "InternalServerError", $"The request was refused with status {status}."),
        };
        await ErrorWriter.WriteAsync(response, error, context.HttpContext.RequestAborted);
    });

    /// <summary>A client that leaves cancels its request wherever it is: nobody is left to answer, and nothing went wrong.</summary>
    public static void UseClientAborts(this WebApplication app) => app.Use(async (context, next) =>
    {
        try
        {
            await next(context);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException && context.RequestAborted.IsCancellationRequested)
        {
            // The finally blocks on the way have given back what the request held.
        }
    });
}
