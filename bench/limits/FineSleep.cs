using System.Runtime.InteropServices;

namespace ValueCanvas.LimitsBench;

/// <summary>Sleeps for less than the millisecond that timers have; Linux adds some 50 µs.</summary>
internal static class FineSleep
{
    public static void Microseconds(int micros)
    {
        var time = new Time(0, micros * 1000L);
        _ = Sleep(in time, IntPtr.Zero);
    }

    [DllImport("libc", EntryPoint = "nanosleep")]
    private static extern int Sleep(in Time time, IntPtr remaining);

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Time(long Seconds, long Nanoseconds);
}
