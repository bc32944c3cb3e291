namespace ValueCanvas.Tests.Core.Caching.Response;

/// <summary>The system's clock, but for what it calls the time of day.</summary>
internal sealed class ShiftedClock : TimeProvider
{
    private long _shift;

    public void Pass(TimeSpan time) => Interlocked.Add(ref _shift, time.Ticks);

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddTicks(Interlocked.Read(ref _shift));
}
