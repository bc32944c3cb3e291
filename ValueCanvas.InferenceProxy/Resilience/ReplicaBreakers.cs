using System.Collections.Concurrent;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>The breakers of one replica, one per model. It lives as long as its replica does.</summary>
internal sealed class ReplicaBreakers(string replica, TimeProvider time)
{
    // A server that lists ever new models shall not fill the memory: beyond these, models share one breaker.
    private const int MostModels = 1024;
    private const string Others = "*";

    private readonly ConcurrentDictionary<string, Breaker> _byModel = new(StringComparer.Ordinal);

    public IEnumerable<Breaker> All => _byModel.Values.OrderBy(b => b.Model, StringComparer.Ordinal);

    /// <summary>The breaker of a model that the replica serves.</summary>
    public Breaker Of(string model) =>
        _byModel.TryGetValue(model, out var known) ? known
        : _byModel.GetOrAdd(
            _byModel.Count < MostModels ? model : Others, static (name, of) => new Breaker(of.replica, name, of.time), (replica, time));

    /// <summary>True when a request for the model may be sent now. What routing asks before it weighs a replica.</summary>
    public bool Allows(string model, BreakerOptions options) => Of(model).Blocked(options) is null;
}
