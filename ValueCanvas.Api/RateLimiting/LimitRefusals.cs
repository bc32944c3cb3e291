using System.Globalization;
using ValueCanvas.Api.Errors;
using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>How a refusal is told; in the words of OpenAI's API, which clients know.</summary>
internal static class LimitRefusals
{
    public static RequestException Reached(LimitDecision decision, string? model)
    {
        var reading = decision.Binding!.Value;
        var charge = reading.Charge;
        var isTokens = charge.Policy.Unit == LimitUnit.Tokens;
        var unit = charge.Policy.Algorithm == LimitAlgorithm.Concurrency ? "concurrent requests"
            : isTokens ? Per("tokens", "TPM", charge) : Per("requests", "RPM", charge);
        var whom = model is not null && charge.Policy.NeedsBody ? $"for {model} in policy" : "for policy";
        var never = reading.Wait == Reading.Never;
        var text = never
            ? string.Create(CultureInfo.InvariantCulture,
                $"Request too large {whom} {charge.Policy.Name} on {unit}: Limit {charge.Limit}, Requested {charge.Cost}. "
                + $"{(isTokens ? "Shorten the prompt or ask for fewer tokens." : "It is not admitted at all.")}")
            : string.Create(CultureInfo.InvariantCulture,
                $"Rate limit reached {whom} {charge.Policy.Name} on {unit}: Limit {charge.Limit}, Remaining {reading.Remaining}, "
                + $"Requested {charge.Cost}. Please try again in {LimitHeaders.Duration(reading.Wait)}.");
        return new RequestException(StatusCodes.Status429TooManyRequests, text)
        {
            Code = "rate_limit_exceeded",
            RetryAfter = never ? null : TimeSpan.FromMicroseconds(reading.Wait),
            OpenAiType = isTokens ? "tokens" : "requests",
        };
    }

    public static RequestException Banned() =>
        new(StatusCodes.Status403Forbidden, "This caller is banned. Ask the operator.") { Code = "banned" };

    /// <summary>Nothing else says how much an answer can need.</summary>
    public static RequestException NeedsMaxTokens(HttpContext context, LimitPolicy policy)
    {
        var field = context.Request.Path.StartsWithSegments("/v1", StringComparison.OrdinalIgnoreCase) ? "max_tokens" : "maxTokens";
        return RequestException.Invalid(
            field,
            $"is required: the policy {policy.Name} limits tokens strictly, so the most that an answer needs must be known");
    }

    private static string Per(string unit, string abbreviation, Charge charge) => charge.Policy.Window == TimeSpan.FromMinutes(1)
        ? $"{unit} per min ({abbreviation})"
        : string.Create(CultureInfo.InvariantCulture, $"{unit} per {charge.Policy.Window.TotalSeconds:0.###}s");
}
