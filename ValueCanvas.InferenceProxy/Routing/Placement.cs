using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>A request's place at a replica: taken by the pick, given back when the attempt is over.</summary>
internal sealed class Placement(Replica replica, long prefill, TimeProvider time) : IDisposable
{
    private readonly long _started = time.GetTimestamp();
    private long _prefill = prefill;
    private int _ended;
    private volatile bool _began;

    public Replica Replica { get; } = replica;

    /// <summary>Bytes of the prompt that the replica was believed to hold.</summary>
    public int Cached { get; init; }

    /// <summary>The first bytes are there: the prompt is computed.</summary>
    public void Began()
    {
        _began = true;
        Replica.Load.Prefilled(Interlocked.Exchange(ref _prefill, 0));
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
        {
            Replica.Load.Prefilled(Interlocked.Exchange(ref _prefill, 0));
            Replica.Load.Leave(_began ? time.GetElapsedTime(_started) : null); // what failed says nothing of how long serving takes
        }
    }
}
