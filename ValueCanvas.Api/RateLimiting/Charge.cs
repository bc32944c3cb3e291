using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>What one policy counts for one request.</summary>
/// <param name="Policy">Whose limit it is.</param>
/// <param name="Subject">Who is counted.</param>
/// <param name="Key">The count's, in Redis and in memory.</param>
/// <param name="Limit">The policy's, or that of an override.</param>
/// <param name="BurstMicros">Token bucket: the time in which a full bucket refills.</param>
/// <param name="Cost">1 for a request, tokens for tokens.</param>
internal sealed record Charge(LimitPolicy Policy, string Subject, string Key, long Limit, long BurstMicros, long Cost)
{
    /// <summary>What it cost in the end, of a request that used so many tokens; null: of one that is taken back.</summary>
    public long Used(long? tokens) => tokens is not { } used ? 0 : Policy.Unit == LimitUnit.Tokens ? used : Cost;
}

/// <summary>How a policy stands after a request was looked at. Times are microseconds.</summary>
/// <param name="Charge">What was asked for.</param>
/// <param name="Denied">It does not fit now.</param>
/// <param name="Remaining">What may still come, at once.</param>
/// <param name="Reset">Until nothing is used any more.</param>
/// <param name="Wait">Until it fits; <see cref="Never"/> where it is larger than the limit.</param>
/// <param name="Place">Where the charge went, for the settling.</param>
/// <param name="Refunds">The same: what had been refunded before.</param>
internal readonly record struct Reading(Charge Charge, bool Denied, long Remaining, long Reset, long Wait, long Place, long Refunds)
{
    public const long Never = -1;
}
