namespace ValueCanvas.Api.Errors;

internal static class ProblemMetadata
{
    /// <summary>Has the route's description say which refusals there are.</summary>
    public static RouteHandlerBuilder ProducesProblems(this RouteHandlerBuilder route, params ReadOnlySpan<int> statusCodes)
    {
        foreach (var statusCode in statusCodes)
            route.ProducesProblem(statusCode);
        return route;
    }
}
