using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>
/// Chooses among the replicas that are up, serve the model, were not tried yet, are not drained, are let through by their breaker and have
/// a place free, by the configured policy, and takes a place there. Ties take turns.
/// </summary>
internal sealed class ReplicaPicker(TimeProvider time, Random random, BytesPerToken bytesPerToken)
{
    private const int OnTheStack = 64;

    // Choices that others may take away before this request's choice is made good.
    private const int Tries = 4;

    private uint _turn;

    /// <summary>A place, or null: then <paramref name="full"/> says whether one would come free by waiting.</summary>
    public Placement? Pick(Replica[] replicas, InferenceOptions options, in RouteRequest request, List<Replica>? tried, out bool full)
    {
        var (routing, limit) = (options.Routing, options.Admission.MaxRunningPerReplica);
        var places = replicas.Length <= OnTheStack ? stackalloc int[OnTheStack] : new int[replicas.Length];
        var tokenBytes = request.Prefix is null ? BytesPerToken.Assumed : bytesPerToken.Of(request.Model);
        full = false;
        for (var i = 0; i < Tries; i++)
        {
            var count = 0;
            for (var r = 0; r < replicas.Length; r++)
            {
                if (Usable(replicas[r], options, request.Model, tried))
                {
                    full = true;
                    if (replicas[r].InFlight < limit)
                        places[count++] = r;
                }
            }

            if (count == 0)
                return null;

            var candidates = new Candidates(replicas, places[..count], Interlocked.Increment(ref _turn));
            var (chosen, cached) = routing.Policy != RoutingOptions.PrefixAware || request.Prefix is null
                ? (Choose(routing.Policy, candidates), 0)
                : PrefixAffinity.Choose(candidates, request, routing, tokenBytes);
            var prefill = request.Prefill(cached);
            if (chosen.Load.TryEnter(limit, prefill))
            {
                if (request.Prefix is { } prefix)
                    chosen.Load.Prefixes.Record(prefix.Blocks, PrefixAffinity.Capacity(chosen.Load, routing, tokenBytes));

                return new Placement(chosen, prefill, time) { Cached = cached };
            }
        }

        return null;
    }

    /// <summary>Whether there is a replica to ask, now or after waiting for a place. Takes none.</summary>
    public static bool Any(Replica[] replicas, InferenceOptions options, string model, List<Replica>? tried) =>
        Array.Exists(replicas, replica => Usable(replica, options, model, tried));

    /// <summary>The one place that says which replicas a request may go to.</summary>
    private static bool Usable(Replica replica, InferenceOptions options, string model, List<Replica>? tried)
    {
        var state = replica.State;
        return state.Status == ReplicaStatus.Up
            && !replica.Load.Draining
            && state.Models.ContainsKey(model)
            && replica.Breakers.Allows(model, options.Breaker)
            && tried?.Contains(replica) is not true;
    }

    private Replica Choose(string policy, Candidates candidates)
    {
        if (policy == RoutingOptions.RoundRobin || candidates.Count == 1)
            return candidates[0];

        if (policy == RoutingOptions.PowerOfTwo)
        {
            var one = random.Next(candidates.Count);
            var two = (one + 1 + random.Next(candidates.Count - 1)) % candidates.Count;
            return candidates[one].Load.Work <= candidates[two].Load.Work ? candidates[one] : candidates[two];
        }

        var (best, least) = (candidates[0], candidates[0].Load.Work);
        for (var i = 1; i < candidates.Count; i++)
        {
            var work = candidates[i].Load.Work;
            (best, least) = work < least ? (candidates[i], work) : (best, least);
        }

        return best;
    }

    /// <summary>The replicas to choose from, in an order that turns from pick to pick.</summary>
    internal readonly ref struct Candidates(Replica[] replicas, ReadOnlySpan<int> places, uint turn)
    {
        private readonly ReadOnlySpan<int> _places = places;
        private readonly int _first = (int)(turn % (uint)places.Length);

        public int Count => _places.Length;

        public Replica this[int index] => replicas[_places[(_first + index) % _places.Length]];
    }
}
