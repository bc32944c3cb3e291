using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>What is wrong with breakers, retries and limits, each message with the key to set.</summary>
internal static class ResilienceValidation
{
    public static void Check(InferenceOptions options, List<string> wrong)
    {
        Breaker(options.Breaker, wrong);
        var retries = options.Retries;
        Range(retries.MaxAttempts, 1, 100, "Inference:Retries:MaxAttempts", wrong);
        Range(retries.MinPerSecond, 0, 1_000_000, "Inference:Retries:MinPerSecond", wrong);
        Ratio(retries.Ratio, 0, "Inference:Retries:Ratio", wrong);
        for (var i = 0; i < options.ModelLimits.Count; i++)
        {
            var (key, limits) = ($"Inference:ModelLimits:{i}", options.ModelLimits[i]);
            if (limits.Model.Length == 0)
                wrong.Add($"{key}:Model must name the model whose limits these are.");

            Positive(limits.HeadersTimeout, $"{key}:HeadersTimeout", wrong);
            Positive(limits.FirstTokenTimeout, $"{key}:FirstTokenTimeout", wrong);
            Positive(limits.IdleTimeout, $"{key}:IdleTimeout", wrong);
            Positive(limits.TotalTimeout, $"{key}:TotalTimeout", wrong);
            Positive(limits.StreamTimeout, $"{key}:StreamTimeout", wrong);
            Positive(limits.SlowFirstToken, $"{key}:SlowFirstToken", wrong);
            Positive(limits.SlowAnswer, $"{key}:SlowAnswer", wrong);
        }
    }

    public static void Positive(TimeSpan? value, string key, List<string> wrong)
    {
        if (value <= TimeSpan.Zero || value > TimeSpan.FromDays(1))
            wrong.Add($"{key} must be positive and at most one day, for example 00:00:30.");
    }

    private static void Breaker(BreakerOptions options, List<string> wrong)
    {
        Positive(options.Window, "Inference:Breaker:Window", wrong);
        Positive(options.SlowFirstToken, "Inference:Breaker:SlowFirstToken", wrong);
        Positive(options.SlowAnswer, "Inference:Breaker:SlowAnswer", wrong);
        Positive(options.OpenDuration, "Inference:Breaker:OpenDuration", wrong);
        Positive(options.MaxOpenDuration, "Inference:Breaker:MaxOpenDuration", wrong);
        Positive(options.MaxCooling, "Inference:Breaker:MaxCooling", wrong);
        Range(options.MinSamples, 1, 1_000_000, "Inference:Breaker:MinSamples", wrong);
        Range(options.ConsecutiveFailures, 1, 1_000_000, "Inference:Breaker:ConsecutiveFailures", wrong);
        Range(options.HalfOpenProbes, 1, 1000, "Inference:Breaker:HalfOpenProbes", wrong);
        Range(options.SuccessThreshold, 1, 1000, "Inference:Breaker:SuccessThreshold", wrong);
        Ratio(options.FailureRatio, 0.01, "Inference:Breaker:FailureRatio", wrong);
        Ratio(options.SlowRatio, 0.01, "Inference:Breaker:SlowRatio", wrong);
        if (options.MaxOpenDuration < options.OpenDuration)
            wrong.Add("Inference:Breaker:MaxOpenDuration must not be shorter than Inference:Breaker:OpenDuration.");
    }

    private static void Range(int value, int least, int most, string key, List<string> wrong)
    {
        if (value < least || value > most)
            wrong.Add($"{key} must be from {least} to {most}.");
    }

    private static void Ratio(double value, double least, string key, List<string> wrong)
    {
        if (!(value >= least && value <= 1))
            wrong.Add(FormattableString.Invariant($"{key} must be from {least} to 1, for example 0.5."));
    }
}
