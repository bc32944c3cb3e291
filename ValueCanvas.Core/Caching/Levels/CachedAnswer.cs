using ValueCanvas.Core.Caching.Answers;
using ValueCanvas.Core.Caching.Keys;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Levels;

/// <summary>A whole answer that is kept, and what has to be known to use it.</summary>
internal sealed class CachedAnswer
{
    private const int Overhead = 512;

    /// <summary>Of the row in <c>llm_cache_entries</c>.</summary>
    public required Guid Id { get; init; }

    public required Guid TenantId { get; init; }

    public required CacheKey Key { get; init; }

    public required AnswerKind Kind { get; init; }

    /// <summary>As the request named it.</summary>
    public required string AskedModel { get; init; }

    /// <summary>By whom it is.</summary>
    public required string Model { get; init; }

    public string? Provider { get; init; }

    public string? PromptKey { get; init; }

    public string? PromptVersion { get; init; }

    /// <summary>By which it can be dropped, see <see cref="Caching.CacheTag"/>.</summary>
    public required IReadOnlyList<string> Tags { get; init; }

    /// <summary>What was known of invalidations before the model was asked: any later one of a tag of its drops it.</summary>
    public required long Epoch { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset ExpiresAt { get; init; }

    public TokenUsage? Usage { get; init; }

    /// <summary>The answer as one JSON text, whether or not it came as a stream.</summary>
    public required byte[] Json { get; init; }

    /// <summary>Where in it the id stands.</summary>
    public required (int Start, int Length) IdPlace { get; init; }

    /// <summary>Hashes of the tags, made once.</summary>
    public required ulong[] TagHashes { get; init; }

    /// <summary>For the row; what it cost is known later, to whoever asked the model.</summary>
    public InferenceOutcome? PaidBy { get; init; }

    /// <summary>Used since the first level last looked for room.</summary>
    public bool WasUsed { get; set; }

    public long Size => Json.Length + Overhead;
}
