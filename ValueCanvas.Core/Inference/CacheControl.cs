namespace ValueCanvas.Core.Inference;

/// <summary>What a caller wants of the response cache, as HTTP says it.</summary>
/// <param name="Use">Whether answers are looked up and kept at all.</param>
public sealed record CacheControl(CacheUse Use)
{
    public static readonly CacheControl WhenDeterministic = new(CacheUse.WhenDeterministic);
    public static readonly CacheControl Always = new(CacheUse.Always);
    public static readonly CacheControl Never = new(CacheUse.Never);

    /// <summary><c>no-cache</c>: ask the model, and keep its answer.</summary>
    public bool Refresh { get; init; }

    /// <summary><c>no-store</c>: keep nothing.</summary>
    public bool NoStore { get; init; }

    /// <summary><c>max-age</c>: nothing older; null: whatever has not expired.</summary>
    public TimeSpan? MaxAge { get; init; }

    /// <summary>By which the answers that depend on something are dropped together.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];
}

public enum CacheUse
{
    /// <summary>Where the request has temperature 0 or a seed.</summary>
    WhenDeterministic,
    Always,
    Never,
}
