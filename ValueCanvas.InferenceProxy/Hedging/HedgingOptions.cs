using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Hedging;

/// <summary>Section <c>Inference:Hedging</c>: when a stream is asked for a second time because its first content takes unusually
/// long.</summary>
internal sealed class HedgingOptions
{
    public bool Enabled { get; set; } = true;

    /// <summary>A stream that takes longer than this share of the model's recent ones is hedged.</summary>
    public double Percentile { get; set; } = 0.95;

    /// <summary>But not sooner than this.</summary>
    public TimeSpan MinDelay { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>And not before so many streams of the model have been seen in the last minutes.</summary>
    public int MinSamples { get; set; } = 50;

    /// <summary>The most hedges per request, over five minutes; 0 is none at all.</summary>
    public double MaxShare { get; set; } = 0.02;

    public void Validate(List<string> wrong)
    {
        if (Percentile is not (>= 0.5 and <= 0.999))
            wrong.Add("Inference:Hedging:Percentile must be from 0.5 to 0.999, for example 0.95.");

        ResilienceValidation.Positive(MinDelay, "Inference:Hedging:MinDelay", wrong);
        if (MinSamples is < 1 or > 1_000_000)
            wrong.Add("Inference:Hedging:MinSamples must be from 1 to 1000000.");

        if (MaxShare is not (>= 0 and <= 0.5))
            wrong.Add("Inference:Hedging:MaxShare must be from 0 (none) to 0.5, for example 0.02.");
    }
}
