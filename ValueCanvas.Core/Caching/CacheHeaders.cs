using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching;

/// <summary>What requests and answers say of the response cache beside HTTP's own <c>Cache-Control</c> and <c>Age</c>.</summary>
public static class CacheHeaders
{
    /// <summary>Of an answer: HIT, MISS, STALE, COALESCED or BYPASS.</summary>
    public const string Status = "x-cache";

    /// <summary>Of a request: names behind commas, by which its answer can be dropped.</summary>
    public const string Tags = "x-cache-tags";

    /// <summary>The word for it.</summary>
    public static string Text(CacheStatus status) => status switch
    {
        CacheStatus.Hit => "HIT",
        CacheStatus.Miss => "MISS",
        CacheStatus.Stale => "STALE",
        CacheStatus.Coalesced => "COALESCED",
        _ => "BYPASS",
    };
}
