using Microsoft.Extensions.Options;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.RateLimiting.Policies;
using ValueCanvas.Api.RateLimiting.Tokens;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>
/// Stands after the callers: charges each request to its policies, reserves the tokens that it may need, and settles both when it is over.
/// </summary>
internal sealed class RateLimiting(
    RequestDelegate next, RequestLimits limits, TokenEstimator estimator, BodyBuffer bodies, IOptions<RateLimitingOptions> options)
{
    private const string DefaultModel = "default";

    public Task InvokeAsync(HttpContext context) =>
        limits.Fitting(context) is { Policies.Count: > 0 } fitting ? LimitAsync(context, fitting) : next(context);

    private async Task LimitAsync(HttpContext context, FittingPolicies fitting)
    {
        // 1. What the request asks for, where a policy must know.
        var request = fitting.Request;
        var cost = context.GetEndpoint()?.Metadata.GetMetadata<TokenCost>();
        using var held = cost is not null && fitting.Policies.Any(policy => policy.NeedsBody) ? await bodies.ReadAsync(context) : null;
        var body = held is null ? default : BodyPeek.Read(held.Body.Span);
        request.Model = held is null ? null : body.Model ?? DefaultModel;

        // 2. All of it is charged, or none.
        var known = held is null ? null : estimator.For(cost!.Name ?? request.Model!);
        var (prompt, reserved, isStrict) = (0L, 0L, false);
        var charges = fitting.Snapshot.Charges(options.Value.Prefix, fitting.Policies, request, Reserve);
        if (charges.Count == 0)
        {
            await next(context);
            return;
        }

        var decision = await limits.ChargeAsync(context, charges, request.Model);

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
            await limits.SettleAsync(decision, meter?.Used() ?? 0);
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
}
