namespace ValueCanvas.Core.Caching;

/// <summary>The response cache; configuration section <c>ResponseCache</c>.</summary>
public sealed class ResponseCacheOptions
{
    public const string Section = "ResponseCache";

    /// <summary>Configuration key that wins over <see cref="Enabled"/>.</summary>
    public const string EnabledSetting = "LLM_CACHE_ENABLED";

    /// <summary>Configuration key that wins over <see cref="Ttl"/>: seconds, or <c>hh:mm:ss</c>.</summary>
    public const string TtlSetting = "LLM_CACHE_TTL";

    public bool Enabled { get; set; } = true;

    /// <summary>How long an answer is fresh; each one a little more or less, so that they do not all expire at once.</summary>
    public TimeSpan Ttl { get; set; } = TimeSpan.FromHours(24);

    /// <summary>The share of the lifetime by which it varies to both sides.</summary>
    public double TtlSpread { get; set; } = 0.1;

    /// <summary>How long after that an answer still stands in where no model can be reached.</summary>
    public TimeSpan MaxStale { get; set; } = TimeSpan.FromDays(7);

    /// <summary>Larger answers are not kept.</summary>
    public int MaxAnswerBytes { get; set; } = 262_144;

    /// <summary>Larger requests are passed on as they come.</summary>
    public int MaxRequestBytes { get; set; } = 1_048_576;

    /// <summary>Answers in the memory of one instance.</summary>
    public long MaxMemoryBytes { get; set; } = 67_108_864;

    /// <summary>What is kept of one answer under way for those who join late, as it comes on the wire; beyond it nobody can join.</summary>
    public int MaxFlightBytes { get; set; } = 4_194_304;

    /// <summary>The same for all answers under way together.</summary>
    public long MaxFlightsBytes { get; set; } = 268_435_456;

    /// <summary>Begins every key in Redis, so that several installations can share one.</summary>
    public string Prefix { get; set; } = "valuecanvas";

    /// <summary>After this time a call to Redis is no longer waited for.</summary>
    public TimeSpan RedisTimeout { get; set; } = TimeSpan.FromMilliseconds(25);

    /// <summary>So many calls in a row without an answer in time, and Redis is left alone until it answers again.</summary>
    public int RedisFailures { get; set; } = 3;

    /// <summary>An instance that has not renewed for so long no longer counts as the one that asks the model.</summary>
    public TimeSpan FlightLease { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>How long an answer that comes from another instance may be silent before it is given up.</summary>
    public TimeSpan FlightSilence { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How often PostgreSQL is asked for invalidations.</summary>
    public TimeSpan FollowInterval { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How often entries and counts are written to PostgreSQL.</summary>
    public TimeSpan WriteInterval { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long rows are kept after their answer has expired.</summary>
    public TimeSpan RowRetention { get; set; } = TimeSpan.FromDays(90);

    /// <summary>
    /// By a model's name as requests give it, a word for what stands behind it at present: another word, and nothing kept is used.
    /// </summary>
    public IDictionary<string, string> Revisions { get; set; } = new Dictionary<string, string>(StringComparer.Ordinal);

    internal IEnumerable<string> Problems()
    {
        (string Name, TimeSpan Value)[] times =
        [
            (nameof(Ttl), Ttl), (nameof(RedisTimeout), RedisTimeout),
            (nameof(FlightLease), FlightLease), (nameof(FlightSilence), FlightSilence),
            (nameof(FollowInterval), FollowInterval), (nameof(WriteInterval), WriteInterval), (nameof(RowRetention), RowRetention),
        ];
        foreach (var (name, value) in times)
        {
            if (value <= TimeSpan.Zero || value > TimeSpan.FromDays(3650))
                yield return $"{Section}:{name} is {value}; give a time above zero, such as 00:00:30.";
        }

        (string Name, long Value)[] sizes =
        [
            (nameof(MaxAnswerBytes), MaxAnswerBytes), (nameof(MaxRequestBytes), MaxRequestBytes), (nameof(MaxMemoryBytes), MaxMemoryBytes),
            (nameof(MaxFlightBytes), MaxFlightBytes), (nameof(MaxFlightsBytes), MaxFlightsBytes), (nameof(RedisFailures), RedisFailures),
        ];
        foreach (var (name, value) in sizes)
        {
            if (value <= 0)
                yield return $"{Section}:{name} is {value}; it must be positive.";
        }

        if (TtlSpread is not (>= 0 and < 1))
            yield return $"{Section}:{nameof(TtlSpread)} is {TtlSpread}; it must be at least 0 and below 1.";
        if (MaxStale < TimeSpan.Zero || MaxStale > TimeSpan.FromDays(3650))
            yield return $"{Section}:{nameof(MaxStale)} is {MaxStale}; it must not be negative.";
        if (Prefix.Length is 0 or > 64 || Prefix.AsSpan().ContainsAny('{', '}'))
            yield return $"{Section}:{nameof(Prefix)} must have 1 to 64 characters, and no braces.";
    }
}
