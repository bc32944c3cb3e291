namespace ValueCanvas.ServiceDefaults.Health;

/// <summary>Configuration section <c>Health</c>.</summary>
internal sealed class HealthOptions
{
    public const string Section = "Health";

    /// <summary>After this time a check that has not answered counts as failed.</summary>
    public TimeSpan CheckTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long one round of checks answers further probes.</summary>
    public TimeSpan CacheFor { get; set; } = TimeSpan.FromMilliseconds(500);
}
