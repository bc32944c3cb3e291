using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>How many bytes the large bodies of all requests together may take (<c>Inference:MaxBufferedBytes</c>).</summary>
internal sealed class BodyBudget(Fleet fleet)
{
    private long _taken;

    public bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref _taken, bytes) <= fleet.Current.Options.MaxBufferedBytes)
        {
            return true;
        }

        Give(bytes);
        return false;
    }

    public void Give(int bytes) => Interlocked.Add(ref _taken, -bytes);
}
