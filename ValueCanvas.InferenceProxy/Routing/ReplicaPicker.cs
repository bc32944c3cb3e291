using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>Chooses the replica that is up, serves the model, was not tried yet, is let through by its breaker and has the fewest requests under way; ties take turns.</summary>
internal sealed class ReplicaPicker
{
    private uint _turn;

    public Replica? Pick(Replica[] replicas, string model, List<Replica>? tried, BreakerOptions breaker)
    {
        Replica? best = null;
        var least = int.MaxValue;
        var start = replicas.Length == 0 ? 0 : (int)(Interlocked.Increment(ref _turn) % (uint)replicas.Length);
        for (var i = 0; i < replicas.Length; i++)
        {
            var replica = replicas[(start + i) % replicas.Length];
            var state = replica.State;
            if (state.Status == ReplicaStatus.Up
                && replica.InFlight < least
                && state.Models.ContainsKey(model)
                && replica.Breakers.Allows(model, breaker)
                && tried?.Contains(replica) is not true)
            {
                (best, least) = (replica, replica.InFlight);
            }
        }

        return best;
    }
}
