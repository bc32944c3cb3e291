using System.Collections.Frozen;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>One model server: where it is, what was last seen of it, and how many of its requests are under way.</summary>
internal sealed class Replica(string provider, string name, Uri address, TimeProvider time)
{
    // A single slow look happens to a busy server; two in a row are an outage.
    private const int SlowLooksAreDown = 2;

    private readonly Lock _gate = new();
    private ReplicaState _state = new(ReplicaStatus.Unknown, FrozenDictionary<string, ServedModel>.Empty, null, time.GetUtcNow());
    private int _slowLooks;
    private int _inFlight;

    public string Provider { get; } = provider;

    /// <summary>Unique among the replicas: the endpoint's host, with the port where the URL names one.</summary>
    public string Name { get; } = name;

    /// <summary>Base address, without a trailing slash.</summary>
    public Uri Address { get; } = address;

    /// <summary>What is held against it, per model.</summary>
    public ReplicaBreakers Breakers { get; } = new(name, time);

    public ReplicaState State => Volatile.Read(ref _state);

    public int InFlight => Volatile.Read(ref _inFlight);

    public void Enter() => Interlocked.Increment(ref _inFlight);

    public void Leave() => Interlocked.Decrement(ref _inFlight);

    /// <summary>A look found the server in order. Says what the status was before.</summary>
    public ReplicaStatus Answered(FrozenDictionary<string, ServedModel> models)
    {
        lock (_gate)
        {
            var before = _state.Status;
            var changed = before == ReplicaStatus.Up ? _state.LastChange : time.GetUtcNow();
            _slowLooks = 0;
            Volatile.Write(ref _state, new ReplicaState(ReplicaStatus.Up, models, _state.LastError, changed));
            return before;
        }
    }

    /// <summary>A look or a request failed. A server that is merely slow is believed once; any other failure is final until the next look.</summary>
    public ReplicaStatus Failed(string error, bool slow = false)
    {
        lock (_gate)
        {
            var before = _state.Status;
            if (slow && ++_slowLooks < SlowLooksAreDown && before == ReplicaStatus.Up)
            {
                return before;
            }

            var changed = before == ReplicaStatus.Down ? _state.LastChange : time.GetUtcNow();
            Volatile.Write(ref _state, new ReplicaState(ReplicaStatus.Down, _state.Models, error, changed));
            return before;
        }
    }
}

internal enum ReplicaStatus
{
    Unknown,
    Up,
    Down,
}

/// <summary>What was last seen. The models of a server that went down are those it had: they tell an outage from an unknown model.</summary>
internal sealed record ReplicaState(
    ReplicaStatus Status, FrozenDictionary<string, ServedModel> Models, string? LastError, DateTimeOffset LastChange);

/// <summary>A model as its server lists it.</summary>
internal sealed record ServedModel(string Id, long Created, string OwnedBy, int? MaxModelLength);
