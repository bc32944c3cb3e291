using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Admission;

/// <summary>When a request that came now would get a place.</summary>
internal static class WaitEstimate
{
    // What official clients still take for an invitation to come back.
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(120);

    /// <summary>Those before it, by how fast the replicas have been serving.</summary>
    public static TimeSpan Of(IEnumerable<Replica> replicas, string model, int waiting)
    {
        var perSecond = replicas
            .Where(r => r.State.Status == ReplicaStatus.Up && r.State.Models.ContainsKey(model) && r.Load.ServiceTime > TimeSpan.Zero)
            .Sum(r => Math.Max(1, r.InFlight) / r.Load.ServiceTime.TotalSeconds);
        var seconds = perSecond > 0 ? (waiting + 1) / perSecond : 1;
        return TimeSpan.FromSeconds(Math.Clamp(seconds, 1, Longest.TotalSeconds));
    }
}
