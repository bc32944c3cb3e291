using ValueCanvas.Api.Accounts;
using ValueCanvas.Api.Authentication;
using ValueCanvas.Api.Requests;
using ValueCanvas.Api.Responses;
using ValueCanvas.Api.Usage.Requests;

namespace ValueCanvas.Api.Usage;

internal static class UsageEndpoints
{
    /// <summary>The endpoints' part; the books themselves are Core's <c>AddUsage</c>.</summary>
    public static IServiceCollection AddUsageEndpoints(this IServiceCollection services)
    {
        services.AddSingleton<UsageReader>();
        services.AddSingleton<BudgetStore>();
        services.AddSingleton<PriceStore>();
        services.AddSingleton<RequestLog>();
        services.AddHostedService<RequestLogWriter>();
        return services.AddJson(UsageContext.Default);
    }

    /// <summary>Notes every request in <c>request_logs</c>; stands outermost.</summary>
    public static IApplicationBuilder UseRequestLog(this IApplicationBuilder app) => app.UseMiddleware<RequestLogging>();

    public static RouteGroupBuilder MapUsageEndpoints(this RouteGroupBuilder group)
    {
        group.WithTags("Usage").WithMetadata(BodyLimit.Api).RequireScope(Scopes.Tenant).RequireRole(Role.Admin);
        group.MapGet("", GetAsync)
            .WithSummary("What the tenant's calls of models came to, by day, model, key or prompt; with format=csv as a table")
            .Produces<Envelope<UsageReport>>(StatusCodes.Status200OK, "application/json", "text/csv")
            .ProducesProblem(StatusCodes.Status400BadRequest);
        return group.MapBudgets();
    }

    private static async Task<IResult> GetAsync(
        string? from, string? to, string? by, string? model, string? key, string? prompt, string? format, HttpContext context,
        Caller caller,
        UsageReader reader, TimeProvider time, CancellationToken cancellationToken)
    {
        if (format is not (null or "" or "json" or "csv"))
            throw Errors.RequestException.Invalid("format", "must be json or csv");
        var report = await reader.ReadAsync(
            caller.TenantId, UsageQuery.Read(from, to, by, model, key, prompt, time.GetUtcNow()), cancellationToken);
        if (format == "csv" || (string.IsNullOrEmpty(format) && WantsCsv(context.Request)))
            return TypedResults.Text(UsageCsv.Write(report), UsageCsv.ContentType);
        return TypedResults.Ok(Envelope.Of(report));
    }

    private static bool WantsCsv(HttpRequest request) =>
        request.GetTypedHeaders().Accept is { Count: > 0 } accepted
        && accepted[0].MediaType.Equals("text/csv", StringComparison.OrdinalIgnoreCase);
}
