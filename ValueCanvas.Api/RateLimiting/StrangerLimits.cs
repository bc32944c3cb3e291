using Microsoft.Extensions.Options;
using ValueCanvas.Api.Errors;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>
/// Whoever is not known yet is charged as a stranger before a credential is looked up, and gets it back if that holds. So who guesses is
/// bounded before the guess is looked at, and learns no more from a right one; callers who are known already never come here.
/// </summary>
internal sealed class StrangerLimits(RequestLimits limits, IOptions<RateLimitingOptions> options)
{
    /// <returns>For <see cref="LeaveAsync"/>; null where nothing was charged.</returns>
    /// <exception cref="RequestException">429, or 403 where the address is banned.</exception>
    public async ValueTask<LimitDecision?> EnterAsync(HttpContext context)
    {
        if (limits.Fitting(context, isStranger: true) is not { } fitting)
            return null;
        var charges = fitting.Snapshot.Charges(options.Value.Prefix, fitting.Policies, fitting.Request, static _ => 0);
        return charges.Count > 0 ? await limits.ChargeAsync(context, charges, model: null) : null;
    }

    /// <summary>It was no stranger, or nobody can tell.</summary>
    public ValueTask LeaveAsync(HttpContext context, LimitDecision? charged) =>
        charged is null ? ValueTask.CompletedTask : limits.UndoAsync(context, charged);
}
