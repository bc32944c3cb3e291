using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>How many bytes the large bodies of all requests, and what is kept of streams, together may take
/// (<c>Inference:MaxBufferedBytes</c>).</summary>
internal sealed class BodyBudget(Fleet fleet)
{
    // So much may lie about that nobody uses any more. The collector by itself lets several times that come together.
    private const long MostGarbage = 64 * 1024 * 1024;

    private long _taken;
    private long _garbage;

    public bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref _taken, bytes) <= fleet.Current.Options.MaxBufferedBytes)
            return true;

        Give(bytes);
        return false;
    }

    public bool HasRoom(int bytes) => Interlocked.Read(ref _taken) + bytes <= fleet.Current.Options.MaxBufferedBytes;

    public void Give(int bytes) => Interlocked.Add(ref _taken, -bytes);

    /// <summary>Gives back the bytes of an array that is left to the collector, and has it collected when that is much.</summary>
    public void Drop(int bytes)
    {
        Give(bytes);
        if (Interlocked.Add(ref _garbage, bytes) is var garbage && garbage > MostGarbage
            && Interlocked.CompareExchange(ref _garbage, 0, garbage) == garbage)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: false);
        }
    }
}
