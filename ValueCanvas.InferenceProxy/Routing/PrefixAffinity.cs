using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>
/// Sticky until saturated, after llm-d's router: (1) replicas that hold most of the prompt keep it, (2) unless they have much more work
/// before them than the others, (3) and among those that are left the least work counts: prompt bytes under way that must be computed, this
/// prompt's own part that is not cached there, and something for each request that decodes.
/// </summary>
internal static class PrefixAffinity
{
    // A batch that much larger than the smallest is not worth a warm cache (the bounds of vLLM's own router).
    private const double RequestsApart = 32;
    private const double TimesApart = 1.1;

    private const int OnTheStack = 64;

    /// <summary>The replica, and how many bytes of the prompt it is believed to hold.</summary>
    public static (Replica Replica, int Cached) Choose(
        ReplicaPicker.Candidates candidates, in RouteRequest request, RoutingOptions options, double bytesPerToken)
    {
        // :: Step 1: who holds how much.
        var prefix = request.Prefix!;
        var cached = candidates.Count <= OnTheStack ? stackalloc int[OnTheStack] : new int[candidates.Count];
        var enough = Math.Max(1, options.StickyShare * prefix.Bytes);
        var (warm, cold, warmest, least) = (long.MaxValue, long.MaxValue, double.MaxValue, double.MaxValue);
        var unsaturated = false;
        for (var i = 0; i < candidates.Count; i++)
        {
            var load = candidates[i].Load;
            cached[i] = load.Prefixes.Match(prefix.Blocks) * PromptPrefix.BlockBytes;
            unsaturated |= !load.Saturated;
            least = Math.Min(least, load.Score);
            (warm, cold) = cached[i] >= enough ? (Math.Min(warm, load.PendingPrefill), cold) : (warm, Math.Min(cold, load.PendingPrefill));
            warmest = cached[i] >= enough ? Math.Min(warmest, load.Score) : warmest;
        }

        // :: Step 2: does it pay to stay.
        var sticky = warm != long.MaxValue
            && (cold == long.MaxValue || warm - cold <= options.StickyBacklogTokens * bytesPerToken)
            && (warmest - least <= RequestsApart || warmest <= least * TimesApart);

        // :: Step 3: the least work. Who is saturated loses what it kept, but is not shunned: what /metrics said is a second old, and all
        // at once would go to the others.
        return (sticky ? Cheapest(candidates, cached, request, enough, unsaturated) : null)
            ?? Cheapest(candidates, cached, request, 0, false)!.Value;
    }

    /// <summary>How many blocks to remember: as many as the replica's cache can hold, if it says how large that is.</summary>
    public static int Capacity(ReplicaLoad load, RoutingOptions options, double bytesPerToken) => load.Live is { CacheTokens: > 0 } live
        ? (int)Math.Clamp(live.CacheTokens * bytesPerToken / PromptPrefix.BlockBytes, 16, options.MaxPrefixBlocks)
        : options.MaxPrefixBlocks;

    private static (Replica Replica, int Cached)? Cheapest(
        ReplicaPicker.Candidates candidates, ReadOnlySpan<int> cached, in RouteRequest request, double enough, bool unsaturated)
    {
        (Replica, int)? best = null;
        var least = double.MaxValue;
        for (var i = 0; i < candidates.Count; i++)
        {
            var load = candidates[i].Load;
            if (cached[i] < enough || (unsaturated && load.Saturated))
                continue;

            var work = load.Work + request.Prefill(cached[i]);
            if (work < least)
                (best, least) = ((candidates[i], cached[i]), work);
        }

        return best;
    }
}
