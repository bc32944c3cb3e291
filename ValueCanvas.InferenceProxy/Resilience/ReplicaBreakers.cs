using System.Collections.Concurrent;
using ValueCanvas.InferenceProxy.Operations;

namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>The breakers of one replica, one per model. It lives as long as its replica does.</summary>
internal sealed class ReplicaBreakers(string replica, TimeProvider time)
{
    // A server that lists ever new models shall not fill the memory: beyond these, models share one breaker.
    private const int MostModels = 1024;
    private const string Others = "*";

    private readonly ConcurrentDictionary<string, Breaker> _byModel = new(StringComparer.Ordinal);
    private OperatorAction? _all;

    public IEnumerable<Breaker> All => _byModel.Values.OrderBy(b => b.Model, StringComparer.Ordinal);

    /// <summary>The breaker of a model that the replica serves.</summary>
    public Breaker Of(string model) =>
        _byModel.TryGetValue(model, out var known) ? known
        : _byModel.GetOrAdd(_byModel.Count < MostModels ? model : Others, Create);

    /// <summary>Does what an operator said of one model, or of all: also of those that come later.</summary>
    public IReadOnlyList<BreakerTransition?> Follow(OperatorAction action)
    {
        if (action.Model is { } model)
            return [Of(model).Follow(action)];

        Volatile.Write(ref _all, action);
        return [.. _byModel.Values.Select(breaker => breaker.Follow(action))];
    }

    /// <summary>True when a request for the model may be sent now. What routing asks before it weighs a replica.</summary>
    public bool Allows(string model, BreakerOptions options) => Of(model).Blocked(options) is null;

    private Breaker Create(string model)
    {
        var breaker = new Breaker(replica, model, time);
        if (Volatile.Read(ref _all) is { } action)
            breaker.Follow(action);

        return breaker;
    }
}
