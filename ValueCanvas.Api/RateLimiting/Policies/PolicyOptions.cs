using System.Text.Json.Serialization;

namespace ValueCanvas.Api.RateLimiting.Policies;

/// <summary>One limit as it is configured (<c>RateLimiting:Policies:NAME</c>) and as <c>/api/admin/limits</c> takes it.</summary>
internal sealed class PolicyOptions
{
    public bool Enabled { get; set; } = true;

    /// <summary>token_bucket, sliding_window, fixed_window or concurrency.</summary>
    public string Algorithm { get; set; } = "token_bucket";

    /// <summary>requests or tokens.</summary>
    public string Unit { get; set; } = "requests";

    /// <summary>So many in a window; with concurrency: at the same time.</summary>
    public long Limit { get; set; }

    public TimeSpan Window { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Token bucket: the bucket holds so many times the limit.</summary>
    public double Burst { get; set; } = 1;

    /// <summary>What is counted apart: caller, user, api_key, tenant, ip, model and route, joined by +, or global.</summary>
    public string Scope { get; set; } = "caller";

    /// <summary>Paths, with or without a method before them; none: every request.</summary>
    public IList<string> Routes { get; set; } = [];

    /// <summary>Requests that ask for one of these; none: for any.</summary>
    public IList<string> Models { get; set; } = [];

    /// <summary>Tokens: estimate or strict.</summary>
    public string Mode { get; set; } = "estimate";

    /// <summary>How long a request may wait instead of being refused; unset: one second in strict mode, else not at all.</summary>
    public TimeSpan? MaxWait { get; set; }

    /// <summary>degraded, open or closed.</summary>
    public string WithoutRedis { get; set; } = "degraded";

    /// <summary>Count and tell, but never refuse.</summary>
    public bool Shadow { get; set; }

    /// <summary>Only for requests that bring no credential, or none that holds.</summary>
    public bool Strangers { get; set; }

    /// <summary>Of the policies of one group only the first that fits a request applies; unset: a group of its own.</summary>
    public string? Group { get; set; }

    /// <summary>Lower ones are looked at first.</summary>
    public int Order { get; set; }

    /// <summary>Other limits for single subjects; the first that fits applies.</summary>
    public IList<OverrideOptions> Overrides { get; set; } = [];
}

/// <summary>
/// Another limit for one subject: <c>tenant:</c>, <c>user:</c>, <c>key:</c>, <c>ip:</c>, <c>model:</c> or <c>route:</c> and its name.
/// </summary>
internal sealed class OverrideOptions
{
    public string Subject { get; set; } = "";

    public long Limit { get; set; }

    public double? Burst { get; set; }

    /// <summary>No limit for this subject, whatever <see cref="Limit"/> says.</summary>
    public bool Unlimited { get; set; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PolicyOptions))]
internal sealed partial class PolicyContext : JsonSerializerContext;
