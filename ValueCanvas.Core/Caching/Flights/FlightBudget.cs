namespace ValueCanvas.Core.Caching.Flights;

/// <summary>What answers under way may take together.</summary>
internal sealed class FlightBudget(long each, long all)
{
    private long _taken;

    public bool Take(int more, long ofOne)
    {
        if (ofOne > each)
            return false;
        if (Interlocked.Add(ref _taken, more) <= all)
            return true;
        Interlocked.Add(ref _taken, -more);
        return false;
    }

    public void Return(long bytes) => Interlocked.Add(ref _taken, -bytes);
}
