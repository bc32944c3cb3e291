using System.Collections.Concurrent;
using ValueCanvas.Core.Caching.Keys;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>The calls of models that are under way in this process, by what is asked.</summary>
internal sealed class FlightDirectory(ResponseCacheOptions options)
{
    private readonly ConcurrentDictionary<CacheKey, Flight> _byKey = new();
    private readonly ConcurrentDictionary<Guid, Flight> _byId = new();
    private readonly FlightBudget _budget = new(options.MaxFlightBytes, options.MaxFlightsBytes);

    /// <summary>This process, among those that share a Redis.</summary>
    public Guid Instance { get; } = Guid.NewGuid();

    public int Count => _byId.Count;

    /// <summary>Those that other instances are told of.</summary>
    public IEnumerable<Flight> Held => _byId.Values.Where(flight => flight.IsHeld);

    public FlightName NameOf(Flight flight) => new(Instance, flight.Id);

    public Flight? Find(Guid id) => _byId.GetValueOrDefault(id);

    /// <summary>A place in the call that is under way; where there is none, in a new one, which is then to be started.</summary>
    public (Seat Seat, bool IsNew) Join(CacheKey key, InferenceCall call, FlightMode mode)
    {
        while (true)
        {
            if (_byKey.TryGetValue(key, out var flight))
            {
                if (flight.Join(call) is { } seat)
                    return (seat, false);
                _byKey.TryRemove(KeyValuePair.Create(key, flight));
            }

            // Seated before others can come and go.
            var mine = new Flight(key, call.TenantId, mode, _budget);
            var first = mine.Join(call)!;
            if (!_byKey.TryAdd(key, mine))
            {
                mine.Dispose();
                continue;
            }

            _byId[mine.Id] = mine;
            return (first, true);
        }
    }

    /// <summary>A call that nobody else joins, because it asks for an answer newer than any that is under way.</summary>
    public Seat Alone(CacheKey key, InferenceCall call, FlightMode mode)
    {
        var mine = new Flight(key, call.TenantId, mode, _budget);
        _byId[mine.Id] = mine;
        return mine.Join(call)!;
    }

    /// <summary>Nobody of this instance joins any more; another one may still ask for what it lacks.</summary>
    public void Unlist(Flight flight) => _byKey.TryRemove(KeyValuePair.Create(flight.Key, flight));

    public void Remove(Flight flight)
    {
        Unlist(flight);
        _byId.TryRemove(flight.Id, out _);
        flight.Dispose();
    }
}
