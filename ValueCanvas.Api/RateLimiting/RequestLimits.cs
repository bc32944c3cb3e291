using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.RateLimiting.Events;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Subjects;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>Which policies fit a request; charges it to them, and tells the client, the meter and the log how that went.</summary>
internal sealed class RequestLimits(
    PolicyCatalog catalog,
    SubjectNames names,
    RateLimiter limiter,
    LimitEvents events,
    LimitMetrics metrics,
    IOptions<RateLimitingOptions> options,
    TimeProvider time)
{
    /// <summary>Null where the request is not limited at all.</summary>
    /// <param name="context">The request's.</param>
    /// <param name="isStranger">It is not known who calls, though the endpoint asks.</param>
    /// <exception cref="RequestException">403: whoever calls is banned.</exception>
    public FittingPolicies? Fitting(HttpContext context, bool isStranger = false)
    {
        // Probes are the orchestrator's, not a caller's.
        if (!options.Value.Enabled || context.GetEndpoint()?.Metadata.GetMetadata<IDisableHttpMetricsMetadata>() is not null)
            return null;
        var snapshot = catalog.Current;
        var request = new LimitedRequest(context, names);
        var rule = snapshot.RuleFor(request, time.GetUtcNow());
        if (rule?.Action == SubjectAction.Ban)
            throw LimitRefusals.Banned();
        return rule is null ? new(snapshot, request, snapshot.ForRoute(request.Method, request.Path, isStranger)) : null;
    }

    /// <exception cref="RequestException">429.</exception>
    public async ValueTask<LimitDecision> ChargeAsync(HttpContext context, IReadOnlyList<Charge> charges, string? model)
    {
        var decision = await limiter.ChargeAsync(charges, context.RequestAborted);
        metrics.Count(decision);
        events.Count(decision, Route(context), model);
        context.Features.Set(decision);
        context.Response.OnStarting(static state =>
        {
            var context = (HttpContext)state;
            if (context.Features.Get<LimitDecision>() is { } latest)
                LimitHeaders.Write(context.Response.Headers, latest);
            return Task.CompletedTask;
        }, context);
        return decision.Allowed ? decision : throw LimitRefusals.Reached(decision, model);
    }

    public ValueTask SettleAsync(LimitDecision decision, long tokens) => limiter.SettleAsync(decision, tokens);

    /// <summary>As if the request had never been charged.</summary>
    public ValueTask UndoAsync(HttpContext context, LimitDecision decision)
    {
        context.Features.Set<LimitDecision>(null);
        return limiter.UndoAsync(decision);
    }

    private static string Route(HttpContext context) =>
        context.GetEndpoint() is RouteEndpoint { RoutePattern.RawText: { } text } ? text : "(none)";
}

/// <summary>What may apply to a request, at the moment when that was asked.</summary>
internal sealed record FittingPolicies(PolicySnapshot Snapshot, LimitedRequest Request, IReadOnlyList<LimitPolicy> Policies);
