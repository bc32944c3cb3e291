namespace ValueCanvas.Api.RateLimiting.Policies;

internal enum LimitAlgorithm
{
    TokenBucket,
    SlidingWindow,
    FixedWindow,
    Concurrency,
}

internal enum LimitUnit
{
    Requests,
    Tokens,
}

/// <summary>How many tokens a request is taken to need before anybody knows.</summary>
internal enum TokenMode
{
    /// <summary>What such answers usually need: may turn out too little, which later requests make up for.</summary>
    Estimate,

    /// <summary>The most that it can need: never turns out too little.</summary>
    Strict,
}

/// <summary>What a policy does while Redis, which counts for all instances, is away.</summary>
internal enum WithoutRedis
{
    Degraded,
    Open,
    Closed,
}

/// <summary>What is counted apart: a policy of user and model has a count for each model of each user.</summary>
[Flags]
internal enum LimitScope
{
    Global = 0,

    /// <summary>The API key, else the user, else the address.</summary>
    Caller = 1,
    User = 2,
    ApiKey = 4,
    Tenant = 8,
    Ip = 16,
    Model = 32,
    Route = 64,
}

/// <summary>A limit, ready for use; <see cref="PolicyOptions"/> says what the parts mean.</summary>
internal sealed record LimitPolicy(string Name, LimitAlgorithm Algorithm, LimitUnit Unit, LimitScope Scope, long Limit, TimeSpan Window)
{
    public double Burst { get; init; } = 1;

    public TokenMode Mode { get; init; }

    public WithoutRedis WithoutRedis { get; init; }

    public TimeSpan MaxWait { get; init; }

    public bool Shadow { get; init; }

    /// <summary>Only for requests that nobody is known to have made.</summary>
    public bool Strangers { get; init; }

    public string Group { get; init; } = Name;

    public IReadOnlyList<RoutePattern> Routes { get; init; } = [];

    public IReadOnlySet<string> Models { get; init; } = new HashSet<string>();

    public IReadOnlyList<LimitOverride> Overrides { get; init; } = [];

    public long WindowMicros { get; } = (long)Window.TotalMicroseconds;

    /// <summary>Strict: it may wait, but it is never over.</summary>
    public bool IsStrict => Unit == LimitUnit.Tokens && Mode == TokenMode.Strict;

    /// <summary>A crash gives back what was reserved; where nothing may ever be over, it stays charged until its time is up.</summary>
    public bool IsReclaimable => Unit == LimitUnit.Tokens && Mode == TokenMode.Estimate;

    /// <summary>Whether a request can count before it is known who made it: it holds nothing then, and asks no model.</summary>
    public bool CountsStrangers => Unit == LimitUnit.Requests && Algorithm != LimitAlgorithm.Concurrency && !NeedsBody;

    /// <summary>Whether the request's body must be read to know if, and as what, it counts.</summary>
    public bool NeedsBody => Unit == LimitUnit.Tokens || Models.Count > 0 || Scope.HasFlag(LimitScope.Model);
}

/// <summary>Another limit for one subject, such as <c>tenant:…</c>; 0 admits nothing, null everything.</summary>
internal sealed record LimitOverride(string Subject, long? Limit, double? Burst);
