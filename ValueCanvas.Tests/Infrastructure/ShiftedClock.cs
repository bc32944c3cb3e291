namespace ValueCanvas.Tests.Infrastructure;

/// <summary>The real clock, put forward by a test; timers run as they would without it.</summary>
internal sealed class ShiftedClock : TimeProvider
{
    private long _shift;

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Interlocked.Read(ref _shift));

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => System.GetElapsedTime(0).Ticks + Interlocked.Read(ref _shift);

    public void Advance(TimeSpan by) => Interlocked.Add(ref _shift, by.Ticks);
}
