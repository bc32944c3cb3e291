using ValueCanvas.InferenceProxy.Hedging;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.InferenceProxy.Hedging;

public sealed class FirstContentTimesTests
{
    private readonly SteppedClock _clock = new();
    private readonly FirstContentTimes _times;

    public FirstContentTimesTests() => _times = new FirstContentTimes(_clock);

    [Theory]
    [InlineData(0.5, 500)]
    [InlineData(0.95, 950)]
    [InlineData(0.999, 1000)]
    public void Percentile_OfAThousandTimes_IsRightToATenth(double share, double milliseconds)
    {
        for (var i = 1; i <= 1000; i++)
            _times.Add(TimeSpan.FromMilliseconds(i));

        Assert.InRange(_times.Percentile(share, 50)!.Value.TotalMilliseconds, milliseconds, milliseconds * 1.1);
    }

    [Fact]
    public void Percentile_OfTooFew_IsUnknown()
    {
        _times.Add(TimeSpan.FromSeconds(1));

        Assert.Null(_times.Percentile(0.95, 2));
        Assert.NotNull(_times.Percentile(0.95, 1));
    }

    [Fact]
    public void Times_BeyondAllBuckets_AreTheLargest()
    {
        _times.Add(TimeSpan.FromHours(1));

        Assert.InRange(_times.Percentile(0.95, 1)!.Value, TimeSpan.FromSeconds(170), TimeSpan.FromSeconds(190));
    }

    [Fact]
    public void Times_Old_AreForgottenByHalves()
    {
        _times.Add(TimeSpan.FromMilliseconds(10));
        _clock.Advance(TimeSpan.FromMinutes(5));
        _times.Add(TimeSpan.FromMilliseconds(1000));
        Assert.NotNull(_times.Percentile(0.5, 2));

        _clock.Advance(TimeSpan.FromMinutes(5));
        Assert.InRange(_times.Percentile(0.5, 1)!.Value.TotalMilliseconds, 1000, 1100);

        _clock.Advance(TimeSpan.FromHours(1));
        Assert.Null(_times.Percentile(0.5, 1));
        _times.Add(TimeSpan.FromMilliseconds(20));
        _times.Add(TimeSpan.FromMilliseconds(20));
        Assert.InRange(_times.Percentile(0.5, 2)!.Value.TotalMilliseconds, 20, 22);
    }
}
