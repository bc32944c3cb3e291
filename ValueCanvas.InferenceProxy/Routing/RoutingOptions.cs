namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>Configuration section <c>Inference:Routing</c>: how a replica is chosen. Read again when configuration reloads.</summary>
internal sealed class RoutingOptions
{
    public const string RoundRobin = "round-robin";
    public const string LeastLoad = "least-load";
    public const string PowerOfTwo = "power-of-two";
    public const string PrefixAware = "prefix-aware";

    private static readonly string[] Policies = [RoundRobin, LeastLoad, PowerOfTwo, PrefixAware];

    /// <summary>One of the names above.</summary>
    public string Policy { get; set; } = PrefixAware;

    /// <summary>Between two readings of a replica's <c>/metrics</c>. Read at start only.</summary>
    public TimeSpan MetricsInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How many 256-byte blocks of prompts are remembered per replica at most; fewer where its cache is known to be
    /// smaller.</summary>
    public int MaxPrefixBlocks { get; set; } = 65_536;

    /// <summary>From this share of the prompt on, a replica that has it in its cache keeps the conversation.</summary>
    public double StickyShare { get; set; } = 0.8;

    /// <summary>Tokens of prompt that a replica may have before it, more than the idlest one, until it no longer keeps its
    /// conversations.</summary>
    public int StickyBacklogTokens { get; set; } = 64 * 1024;

    /// <summary>Adds what is wrong, each message with the key to set.</summary>
    public void Validate(List<string> wrong)
    {
        if (!Policies.Contains(Policy, StringComparer.Ordinal))
            wrong.Add($"Inference:Routing:Policy must be one of {string.Join(", ", Policies)}.");

        if (MetricsInterval < TimeSpan.FromMilliseconds(50) || MetricsInterval > TimeSpan.FromMinutes(10))
            wrong.Add("Inference:Routing:MetricsInterval must be from 00:00:00.050 to 00:10:00.");

        if (MaxPrefixBlocks is < 16 or > 4_194_304)
            wrong.Add("Inference:Routing:MaxPrefixBlocks must be from 16 to 4194304.");

        if (StickyShare is not (> 0 and <= 1))
            wrong.Add("Inference:Routing:StickyShare must be above 0 and at most 1.");

        if (StickyBacklogTokens < 0)
            wrong.Add("Inference:Routing:StickyBacklogTokens must not be negative.");
    }
}
