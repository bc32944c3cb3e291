using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>One request on its way: what does not change from attempt to attempt, and what was tried.</summary>
internal sealed class ForwardedCall(Topology topology, InferenceOperation operation, string model, RequestPeek peek, byte[]? rewritten, long started)
{
    public Topology Topology { get; } = topology;

    public InferenceOperation Operation { get; } = operation;

    /// <summary>The model that the name in the request means.</summary>
    public string Model { get; } = model;

    public RequestPeek Peek { get; } = peek;

    /// <summary>The model's JSON string where the body's is not to be sent.</summary>
    public byte[]? Rewritten { get; } = rewritten;

    public long Started { get; } = started;

    /// <summary>When the client of a stream last got a sign of life, or began to wait for one.</summary>
    public long LastSign { get; set; } = started;

    public TimeLimits Limits { get; } = TimeLimits.Of(topology.Options, model, peek.Stream);

    /// <summary>Replicas asked so far; the one being asked included.</summary>
    public int Attempts { get; set; }

    /// <summary>Replicas not to be asked again: they failed, or let nothing through. Null while there is none.</summary>
    public List<Replica>? Tried { get; set; }

    /// <summary>The next one to ask, already let through by its breaker.</summary>
    public Target? Next { get; set; }

    /// <summary>Why the last attempt failed.</summary>
    public AttemptFailure Failure { get; set; }

    public readonly record struct Target(Replica Replica, BreakerPass Pass);
}
