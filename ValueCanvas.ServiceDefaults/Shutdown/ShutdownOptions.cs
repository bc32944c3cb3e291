namespace ValueCanvas.ServiceDefaults.Shutdown;

/// <summary>Configuration section <c>Shutdown</c>.</summary>
internal sealed class ShutdownOptions
{
    public const string Section = "Shutdown";

    /// <summary>How long the service goes on serving after the signal while readiness says <c>draining</c>, so that load balancers see it.
    /// None by default; set it where something watches readiness.</summary>
    public TimeSpan Drain { get; set; } = TimeSpan.Zero;

    /// <summary>The bound of the whole shutdown: the drain, running requests and jobs, and the flush of telemetry.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(30);
}
