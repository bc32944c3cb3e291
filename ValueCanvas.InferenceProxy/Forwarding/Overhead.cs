using System.Globalization;

namespace ValueCanvas.InferenceProxy.Forwarding;

/// <summary>A stopwatch that runs while the proxy itself works on a request, and stands while it waits for a model server.</summary>
internal sealed class Overhead(TimeProvider time)
{
    private long _since = time.GetTimestamp();
    private TimeSpan _spent;
    private bool _stands;

    /// <summary>In milliseconds, for the header.</summary>
    public string Milliseconds
    {
        get
        {
            var spent = (_spent + time.GetElapsedTime(_since)).Ticks / TimeSpan.TicksPerMicrosecond;
            return string.Create(CultureInfo.InvariantCulture, $"{spent / 1000}.{spent % 1000:D3}");
        }
    }

    public void Stop()
    {
        if (!_stands)
            (_spent, _stands) = (_spent + time.GetElapsedTime(_since), true);
    }

    public void Resume() => (_since, _stands) = (time.GetTimestamp(), false);
}
