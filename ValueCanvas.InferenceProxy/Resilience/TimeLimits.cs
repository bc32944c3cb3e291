using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>How long an attempt may take to each of its stations. Connecting is the HTTP client's and has one limit for all.</summary>
/// <param name="Headers">Of a stream: to the status line.</param>
/// <param name="FirstToken">Of a stream: to its first content.</param>
/// <param name="Idle">Between two reads.</param>
/// <param name="Total">To the end.</param>
/// <param name="Frozen">How long the server's health looks have to fail before its first content is no longer waited for.</param>
/// <param name="Slow">From here on to its first content it is slow, though it is waited for.</param>
internal readonly record struct TimeLimits(
    TimeSpan Headers, TimeSpan FirstToken, TimeSpan Idle, TimeSpan Total, TimeSpan Frozen, TimeSpan Slow)
{
    public static TimeLimits Of(InferenceOptions options, string model, bool streamed)
    {
        var own = options.ModelLimits.Count == 0 ? null : options.ModelLimits.Find(limits => limits.Model == model);
        return new TimeLimits(
            own?.HeadersTimeout ?? options.HeadersTimeout,
            own?.FirstTokenTimeout ?? options.FirstTokenTimeout,
            own?.IdleTimeout ?? options.IdleTimeout,
            streamed ? own?.StreamTimeout ?? options.StreamTimeout : own?.TotalTimeout ?? options.TotalTimeout,
            options.FrozenTimeout,
            streamed ? own?.SlowFirstToken ?? options.Breaker.SlowFirstToken : own?.SlowAnswer ?? options.Breaker.SlowAnswer);
    }
}
