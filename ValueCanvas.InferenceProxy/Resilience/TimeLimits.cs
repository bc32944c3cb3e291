using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>How long an attempt may take to each of its stations. Connecting is the HTTP client's and has one limit for all.</summary>
internal readonly record struct TimeLimits(TimeSpan Headers, TimeSpan FirstToken, TimeSpan Idle, TimeSpan Total)
{
    public static TimeLimits Of(InferenceOptions options, string model, bool streamed)
    {
        var own = options.ModelLimits.Count == 0 ? null : options.ModelLimits.Find(limits => limits.Model == model);
        return new TimeLimits(
            own?.HeadersTimeout ?? options.HeadersTimeout,
            own?.FirstTokenTimeout ?? options.FirstTokenTimeout,
            own?.IdleTimeout ?? options.IdleTimeout,
            streamed ? own?.StreamTimeout ?? options.StreamTimeout : own?.TotalTimeout ?? options.TotalTimeout);
    }
}
