namespace ValueCanvas.Core.Inference;

/// <summary>What one call of a model has come to. Written by the handlers while the answer is read.</summary>
public sealed class InferenceOutcome
{
    public CacheStatus Cache { get; set; } = CacheStatus.Bypass;

    /// <summary>Null until the proxy has told or something could be estimated.</summary>
    public TokenUsage? Usage { get; set; }

    public UsageSource UsageSource { get; set; } = UsageSource.Estimated;

    /// <summary>The model that answered, by its server's name.</summary>
    public string? Model { get; set; }

    public string? Provider { get; set; }

    /// <summary>What the proxy did for it, first to last; empty until it has told.</summary>
    public IReadOnlyList<InferenceAttempt> Attempts { get; set; } = [];

    /// <summary>US dollars that the tenant pays; null where the model has no price.</summary>
    public decimal? Cost { get; set; }

    /// <summary>How long ago the model gave an answer that was kept; null where it has given it now.</summary>
    public TimeSpan? Age { get; set; }

    /// <summary>The answer was read to its proper end.</summary>
    public bool IsComplete { get; set; }
}

public enum CacheStatus
{
    /// <summary>Not asked, and nothing kept.</summary>
    Bypass,
    Miss,
    Hit,

    /// <summary>An expired answer, because no model could be reached.</summary>
    Stale,

    /// <summary>The answer of a call that was under way for somebody else.</summary>
    Coalesced,
}

/// <summary>Where the token counts come from, best first.</summary>
public enum UsageSource
{
    Reported,

    /// <summary>The last count of a stream that did not come to its end.</summary>
    Running,
    Estimated,
}
