using System.Diagnostics;
using System.Runtime.InteropServices;

namespace ValueCanvas.ProxyBench.Upstream;

/// <summary>A thread that calls back every so many microseconds. Late ticks are made up for, none is lost.</summary>
internal sealed partial class Ticker : IDisposable
{
    private readonly Thread _thread;
    private readonly Action<long> _onTick;
    private readonly long _period;
    private volatile bool _stopped;

    public Ticker(TimeSpan period, Action<long> onTick)
    {
        _onTick = onTick;
        _period = (long)(period.TotalSeconds * Stopwatch.Frequency);
        _thread = new Thread(Run) { IsBackground = true, Name = "ticker", Priority = ThreadPriority.Highest };
        _thread.Start();
    }

    public void Dispose()
    {
        _stopped = true;
        _thread.Join();
    }

    private void Run()
    {
        var start = Stopwatch.GetTimestamp();
        for (long tick = 0; !_stopped; tick++)
        {
            while (!_stopped && start + (tick * _period) - Stopwatch.GetTimestamp() is > 0 and var wait)
                Nap(wait);

            _onTick(tick);
        }
    }

    // The runtime's own waits are no finer than a millisecond.
    private static void Nap(long stopwatchTicks)
    {
        var time = new TimeSpec { Nanoseconds = Math.Min(stopwatchTicks * 1_000_000_000 / Stopwatch.Frequency, 500_000) };
        _ = Sleep(in time, 0);
    }

    [LibraryImport("libc", EntryPoint = "nanosleep")]
    private static partial int Sleep(in TimeSpec time, nint remaining);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
