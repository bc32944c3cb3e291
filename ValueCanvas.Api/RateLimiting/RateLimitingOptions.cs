using ValueCanvas.Api.RateLimiting.Policies;

namespace ValueCanvas.Api.RateLimiting;

/// <summary>Configuration section <c>RateLimiting</c>.</summary>
internal sealed class RateLimitingOptions
{
    public const string Section = "RateLimiting";

    public bool Enabled { get; set; } = true;

    /// <summary>Begins every key in Redis, so that several installations can share one.</summary>
    public string Prefix { get; set; } = "valuecanvas";

    /// <summary>After this time a call to Redis is no longer waited for.</summary>
    public TimeSpan RedisTimeout { get; set; } = TimeSpan.FromMilliseconds(25);

    /// <summary>So many calls in a row that were not answered in time, and Redis is left alone until it answers a heartbeat.</summary>
    public int RedisFailures { get; set; } = 3;

    /// <summary>Between two heartbeats to Redis, by which the instances count each other; four times as often while it is away.</summary>
    public TimeSpan Heartbeat { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>While Redis is away an instance admits its share: the limit by at least so many instances.</summary>
    public int MinInstances { get; set; } = 1;

    /// <summary>What a running request holds (a place, reserved tokens) is given back so long after its process has died.</summary>
    public TimeSpan LeaseLifetime { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Counts kept in memory, for when Redis is away; further subjects then share one count for each policy.</summary>
    public int MaxSubjects { get; set; } = 100_000;

    /// <summary>
    /// Bodies that are read before they are passed on, because a policy counts tokens or models, may take so much memory together.
    /// </summary>
    public long MaxBufferedBytes { get; set; } = 268_435_456;

    /// <summary>Estimate mode: tokens that an answer of a model is taken to need until some were seen.</summary>
    public int DefaultOutputTokens { get; set; } = 512;

    /// <summary>A subject that has used this share of a limit is counted as near it.</summary>
    public double NearLimit { get; set; } = 0.8;

    /// <summary>How often counted refusals are written to PostgreSQL.</summary>
    public TimeSpan LogInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long they are kept there.</summary>
    public TimeSpan LogRetention { get; set; } = TimeSpan.FromDays(30);

    public IDictionary<string, PolicyOptions> Policies { get; set; } = new Dictionary<string, PolicyOptions>();
}
