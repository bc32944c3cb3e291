namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>How busy one replica is: what this proxy has under way there, and what the replica itself last said.</summary>
internal sealed class ReplicaLoad
{
    // A KV cache this full slows every request: it preempts, and cached prefixes go.
    private const double FullCache = 0.9;
    private const int LongQueue = 5;
    private const double NewServiceTime = 0.1;

    // A request that decodes weighs as much as a prompt of 64 tokens: little, but it decides where prompts do not.
    private const double BytesPerRequest = 256;

    private int _inFlight;
    private long _prefill;
    private long _serviceTicks;
    private LiveLoad? _live;
    private volatile bool _draining;

    /// <summary>Somebody left, or the replica was opened again: there may be room.</summary>
    public event Action? Room;

    /// <summary>Requests of this proxy under way.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>Bytes of prompts that are on their way and, as far as is known, not in the replica's cache: released with the first
    /// byte.</summary>
    public long PendingPrefill => Interlocked.Read(ref _prefill);

    /// <summary>What the replica's <c>/metrics</c> said last; null where it has none or it is too old.</summary>
    public LiveLoad? Live
    {
        get => Volatile.Read(ref _live);
        set => Volatile.Write(ref _live, value);
    }

    /// <summary>The prompts that the replica's cache is believed to hold.</summary>
    public PrefixIndex Prefixes { get; } = new();

    /// <summary>It has said of a prompt that a part of it was cached: so it counts them.</summary>
    public bool ReportsCachedTokens { get; set; }

    /// <summary>Takes no new requests; those under way end as they would.</summary>
    public bool Draining
    {
        get => _draining;
        set
        {
            _draining = value;
            Room?.Invoke();
        }
    }

    /// <summary>How long a request holds its place, a moving mean; zero until one has ended.</summary>
    public TimeSpan ServiceTime => new(Interlocked.Read(ref _serviceTicks));

    /// <summary>Requests of this proxy and of others, weighed up as the cache gets full.</summary>
    public double Score
    {
        get
        {
            var live = Live;
            return live is null ? InFlight : (InFlight + live.Foreign) * (1 + Math.Max(0, live.KvCacheUsage - 0.8) * 5);
        }
    }

    /// <summary>The work that stands before a new request, in bytes of prompt: what the policies compare.</summary>
    public double Work => PendingPrefill + Score * BytesPerRequest;

    public bool Saturated => Live is { } live && (live.Waiting >= LongQueue || live.KvCacheUsage >= FullCache);

    /// <summary>Takes a place, unless all <paramref name="limit"/> are taken.</summary>
    public bool TryEnter(int limit, long prefill)
    {
        var seen = InFlight;
        while (seen < limit)
        {
            var before = Interlocked.CompareExchange(ref _inFlight, seen + 1, seen);
            if (before == seen)
            {
                Interlocked.Add(ref _prefill, prefill);
                return true;
            }

            seen = before;
        }

        return false;
    }

    public void Prefilled(long bytes) => Interlocked.Add(ref _prefill, -bytes);

    /// <summary>Gives the place back, and tells how long it was held by a request that was served.</summary>
    public void Leave(TimeSpan? served)
    {
        if (served is { Ticks: var ticks })
        {
            var mean = Interlocked.Read(ref _serviceTicks);
            Interlocked.Exchange(ref _serviceTicks, mean == 0 ? ticks : mean + (long)((ticks - mean) * NewServiceTime));
        }

        Interlocked.Decrement(ref _inFlight);
        Room?.Invoke();
    }
}

/// <summary>What a replica's <c>/metrics</c> said: requests running and waiting, KV use (0 to 1), tokens that its cache holds (0: unknown),
/// and how many of the requests were not this proxy's.</summary>
internal sealed record LiveLoad(int Running, int Waiting, double KvCacheUsage, long CacheTokens, int Foreign);
