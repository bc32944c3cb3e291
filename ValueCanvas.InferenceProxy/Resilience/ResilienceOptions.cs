namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>Section <c>Inference:Breaker</c>: when a model at a replica is left alone, and how it comes back.</summary>
internal sealed class BreakerOptions
{
    /// <summary>How far back the samples reach.</summary>
    public TimeSpan Window { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>With at least this many samples the ratios decide, with fewer the failures in a row.</summary>
    public int MinSamples { get; set; } = 10;

    public double FailureRatio { get; set; } = 0.5;

    public int ConsecutiveFailures { get; set; } = 3;

    /// <summary>A stream whose first token takes longer is slow.</summary>
    public TimeSpan SlowFirstToken { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>An answer that is not streamed is slow when it takes longer.</summary>
    public TimeSpan SlowAnswer { get; set; } = TimeSpan.FromMinutes(5);

    public double SlowRatio { get; set; } = 0.8;

    /// <summary>How long it stays open the first time; doubled each time that a probe fails.</summary>
    public TimeSpan OpenDuration { get; set; } = TimeSpan.FromSeconds(30);

    public TimeSpan MaxOpenDuration { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Requests let through at the same time while half-open.</summary>
    public int HalfOpenProbes { get; set; } = 3;

    /// <summary>Successes that close it.</summary>
    public int SuccessThreshold { get; set; } = 2;

    /// <summary>The most that a server's <c>Retry-After</c> keeps requests away.</summary>
    public TimeSpan MaxCooling { get; set; } = TimeSpan.FromMinutes(5);
}

/// <summary>Section <c>Inference:Retries</c>: how many further attempts there may be, so that an outage is not multiplied.</summary>
internal sealed class RetryOptions
{
    /// <summary>Replicas asked for one request, at most.</summary>
    public int MaxAttempts { get; set; } = 4;

    /// <summary>Further attempts per request, over the window.</summary>
    public double Ratio { get; set; } = 0.2;

    /// <summary>Allowed in any second, whatever the ratio.</summary>
    public int MinPerSecond { get; set; } = 5;
}

/// <summary>One entry of <c>Inference:ModelLimits</c>: time limits of one model where they differ from those of all.</summary>
internal sealed class ModelLimitOptions
{
    public string Model { get; set; } = "";

    public TimeSpan? HeadersTimeout { get; set; }

    public TimeSpan? FirstTokenTimeout { get; set; }

    public TimeSpan? IdleTimeout { get; set; }

    public TimeSpan? TotalTimeout { get; set; }

    public TimeSpan? StreamTimeout { get; set; }

    public TimeSpan? SlowFirstToken { get; set; }

    public TimeSpan? SlowAnswer { get; set; }
}
