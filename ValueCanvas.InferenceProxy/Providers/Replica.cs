using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Net;
using ValueCanvas.InferenceProxy.Resilience;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>One model server: where it is, what was last seen of it, and how many of its requests are under way.</summary>
internal sealed class Replica(Upstream upstream, string name, Uri address, TimeProvider time, IPEndPoint? endPoint = null)
{
    // A single slow look happens to a busy server; two in a row are an outage.
    private const int SlowLooksAreDown = 2;

    // A hosted provider is not looked at: after a failure it is given another chance.
    private static readonly TimeSpan RestAfterFailure = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ModelListLasts = TimeSpan.FromHours(1);
    private static readonly TimeSpan ModelListRetry = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly string _base =
        endPoint is null ? address.OriginalString : $"{address.Scheme}://{endPoint}{address.AbsolutePath.TrimEnd('/')}";
    private readonly string? _host = endPoint is null ? null : address.Authority;
    // One for each operation: parsing them is not cheap.
    private readonly ConcurrentDictionary<string, Uri> _uris = new(StringComparer.Ordinal);
    private Upstream _upstream = upstream;
    private ReplicaState _state = new(
        upstream.Kind.IsHosted && upstream.StaticModels.Count > 0 ? ReplicaStatus.Up : ReplicaStatus.Unknown,
        upstream.StaticModels, null, time.GetUtcNow());
    private DateTimeOffset _nextAsk;
    private int _slowLooks;

    /// <summary>Name of the provider.</summary>
    public string Provider => Upstream.Name;

    public Upstream Upstream => Volatile.Read(ref _upstream);

    /// <summary>Unique among the replicas: the endpoint's host, with the port where the URL names one, and with <c>#</c> and its address
    /// where the host is several servers.</summary>
    public string Name { get; } = name;

    /// <summary>Base address, without a trailing slash.</summary>
    public Uri Address { get; } = address;

    /// <summary>Where to connect to; null where the host's name says so.</summary>
    public IPEndPoint? EndPoint { get; } = endPoint;

    /// <summary>What is held against it, per model.</summary>
    public ReplicaBreakers Breakers { get; } = new(name, time);

    public ReplicaState State => Volatile.Read(ref _state);

    public ReplicaLoad Load { get; } = new();

    /// <summary>Requests of this proxy under way there.</summary>
    public int InFlight => Load.InFlight;

    /// <summary>A request to a path of the server. It goes to <see cref="EndPoint"/>, but speaks (and in TLS asks) for the host's
    /// name.</summary>
    public ReplicaRequest Request(HttpMethod method, string path)
    {
        var request = new ReplicaRequest(method, _uris.GetOrAdd(path, static (path, server) => new Uri(server + path), _base));
        if (_host is not null)
            request.Headers.Host = _host;

        return request;
    }

    /// <summary>New settings of the provider; what is known of the server itself stays.</summary>
    public void Adopt(Upstream settings)
    {
        var before = Upstream.StaticModels;
        Volatile.Write(ref _upstream, settings);
        lock (_gate)
        {
            if (settings.StaticModels.Count > 0)
            {
                Volatile.Write(ref _state, _state with { Models = settings.StaticModels });
            }
            else if (before.Count > 0)
            {
                _nextAsk = default; // the list that was configured is gone: ask
            }
        }
    }

    /// <summary>For a hosted provider, instead of a look: forgets a failure after a rest, and says whether to ask for its models
    /// now.</summary>
    public bool ShouldAsk()
    {
        lock (_gate)
        {
            var now = time.GetUtcNow();
            if (_state is { Status: not ReplicaStatus.Up, Models.Count: > 0 } && now - _state.LastChange >= RestAfterFailure)
                Volatile.Write(ref _state, _state with { Status = ReplicaStatus.Up, LastChange = now });

            if (Upstream.StaticModels.Count > 0 || now < _nextAsk)
                return false;

            _nextAsk = now + ModelListRetry;
            return true;
        }
    }

    /// <summary>A look found the server in order. Says what the status was before.</summary>
    public ReplicaStatus Answered(FrozenDictionary<string, ServedModel> models)
    {
        lock (_gate)
        {
            var before = _state.Status;
            var changed = before == ReplicaStatus.Up ? _state.LastChange : time.GetUtcNow();
            _slowLooks = 0;
            if (before == ReplicaStatus.Down)
            {
                Load.Prefixes.Clear(); // what restarted has an empty cache
            }

            _nextAsk = time.GetUtcNow() + ModelListLasts;
            Volatile.Write(ref _state, new ReplicaState(ReplicaStatus.Up, models, _state.LastError, changed));
            return before;
        }
    }

    /// <summary>A look or a request failed. A server that is merely slow is believed once; any other failure is final until the next
    /// look.</summary>
    public ReplicaStatus Failed(string error, bool slow = false)
    {
        lock (_gate)
        {
            var before = _state.Status;
            if (slow && ++_slowLooks < SlowLooksAreDown && before == ReplicaStatus.Up)
                return before;

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

/// <summary>What was last seen. The models of a server that went down are those it had: they tell an outage from an unknown
/// model.</summary>
internal sealed record ReplicaState(
    ReplicaStatus Status, FrozenDictionary<string, ServedModel> Models, string? LastError, DateTimeOffset LastChange);

/// <summary>A model as its server lists it.</summary>
internal sealed record ServedModel(string Id, long Created, string OwnedBy, int? MaxModelLength);
