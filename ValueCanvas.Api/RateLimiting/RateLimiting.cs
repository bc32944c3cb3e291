using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.Extensions.Options;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.RateLimiting.Events;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Subjects;
using ValueCanvas.Api.RateLimiting.Tokens;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>
/// Stands after the callers: charges each request to its policies, reserves the tokens that it may need, and settles both when it is over.
/// </summary>
internal sealed class RateLimiting(
    RequestDelegate next,
    PolicyCatalog catalog,
    SubjectNames names,
    RateLimiter limiter,
    TokenEstimator estimator,
    BodyBuffer bodies,
    LimitEvents events,
    LimitMetrics metrics,
    IOptions<RateLimitingOptions> options,
    TimeProvider time)
{
    private const string DefaultModel = "default";

    public Task InvokeAsync(HttpContext context)
    {
        var endpoint = context.GetEndpoint();
        // Probes are the orchestrator's, not a caller's.
        if (!options.Value.Enabled || endpoint?.Metadata.GetMetadata<IDisableHttpMetricsMetadata>() is not null)
            return next(context);

        var snapshot = catalog.Current;
        var request = new LimitedRequest(context, names);
        var rule = snapshot.RuleFor(request, time.GetUtcNow());
        if (rule?.Action == SubjectAction.Ban)
            throw LimitRefusals.Banned();
        var fitting = rule is null ? snapshot.ForRoute(request.Method, request.Path) : [];
        return fitting.Count == 0 ? next(context) : LimitAsync(context, snapshot, fitting, request, endpoint);
    }

    private async Task LimitAsync(
        HttpContext context, PolicySnapshot snapshot, IReadOnlyList<LimitPolicy> fitting, LimitedRequest request, Endpoint? endpoint)
    {
        // 1. What the request asks for, where a policy must know.
        var cost = endpoint?.Metadata.GetMetadata<TokenCost>();
        using var held = cost is not null && fitting.Any(policy => policy.NeedsBody) ? await bodies.ReadAsync(context) : null;
        var body = held is null ? default : BodyPeek.Read(held.Body.Span);
        request.Model = held is null ? null : body.Model ?? DefaultModel;

        // 2. All of it is charged, or none.
        var known = held is null ? null : estimator.For(cost!.Name ?? request.Model!);
        var (prompt, reserved, isStrict) = (0L, 0L, false);
        var charges = snapshot.Charges(options.Value.Prefix, fitting, request, Reserve);
        if (charges.Count == 0)
        {
            await next(context);
            return;
        }

        var decision = await limiter.ChargeAsync(charges, context.RequestAborted);
        metrics.Count(decision);
        events.Count(decision, Route(endpoint), request.Model);
        context.Response.OnStarting(() =>
        {
            LimitHeaders.Write(context.Response.Headers, decision);
            return Task.CompletedTask;
        });
        if (!decision.Allowed)
            throw LimitRefusals.Reached(decision, request.Model);

        // 3. What it really used is known when it is over, however it ends.
        var meter = reserved > 0 ? new TokenMeter(prompt, reserved, isStrict) : null;
        context.Features.Set(meter);
        try
        {
            await next(context);
            if (meter is not null)
                meter.IsFree = context.Response.StatusCode >= 400;
        }
        catch (Exception e) when (meter is not null)
        {
            meter.IsFree = !MayHaveWorked(e, context);
            throw;
        }
        finally
        {
            if (meter?.Told is { } told)
                known!.Note(told.Output, told.Prompt, body.PromptBytes + cost!.HiddenPromptBytes);
            await limiter.SettleAsync(decision, meter?.Used() ?? 0);
        }

        long Reserve(LimitPolicy policy)
        {
            if (held is null)
                return 0;
            var (input, output) = estimator.Estimate(policy.Mode, cost!, body, known!);
            if (output is null)
                throw LimitRefusals.NeedsMaxTokens(context, policy);
            isStrict |= policy.IsStrict;
            (prompt, reserved) = (Math.Max(prompt, input), Math.Max(reserved, input + output.Value));
            return input + output.Value;
        }
    }

    // Left or broken off in the middle: a model may have worked until then.
    private static bool MayHaveWorked(Exception exception, HttpContext context) => exception switch
    {
        RequestException => false,
        InferenceException e => e.Kind is InferenceFailure.Timeout or InferenceFailure.InvalidAnswer,
        _ => context.RequestAborted.IsCancellationRequested || exception is OperationCanceledException,
    };

    private static string Route(Endpoint? endpoint) => endpoint is RouteEndpoint { RoutePattern.RawText: { } text } ? text : "(none)";
}
