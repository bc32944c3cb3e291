namespace Aspire.StackExchange.Redis;

/// <summary>
/// How the Redis client is added; read from <c>Aspire:StackExchange:Redis</c> and <c>Aspire:StackExchange:Redis:NAME</c>.
/// </summary>
public sealed class StackExchangeRedisSettings
{
    /// <summary>StackExchange.Redis connection string; <c>ConnectionStrings:NAME</c> beats the section.</summary>
    public string? ConnectionString { get; set; }

    /// <summary>True connects on first use; false when the host starts.</summary>
    public bool DisableAutoActivation { get; set; } = true;

    /// <summary>True adds no health check.</summary>
    public bool DisableHealthChecks { get; set; }

    /// <summary>True asks for no spans. Native mode's client version makes none, whatever is set.</summary>
    public bool DisableTracing { get; set; }
}
