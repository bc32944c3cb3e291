using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using OpenTelemetry.Trace;
using ValueCanvas.ServiceDefaults.Telemetry;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.ServiceDefaults;

public sealed class RateLimitingSamplerTests
{
    private readonly SteppedClock _time = new();

    [Fact]
    public void Burst_IsASecondsWorth_AndTheRestIsDropped()
    {
        var sampler = new RateLimitingSampler(10, _time);

        Assert.Equal(10, Sampled(sampler, 500));
    }

    [Fact]
    public void SteadyLoad_SamplesTheRate()
    {
        var sampler = new RateLimitingSampler(10, _time);
        var sampled = 0;
        for (var i = 0; i < 10_000; i++)
        {
            sampled += Sampled(sampler, 1);
            _time.Advance(TimeSpan.FromMilliseconds(1));
        }

        // Ten seconds, and the burst of the first.
        Assert.InRange(sampled, 108, 110);
    }

    [Fact]
    public void LongSilence_EarnsNoMoreThanOneBurst()
    {
        var sampler = new RateLimitingSampler(10, _time);
        _time.Advance(TimeSpan.FromHours(1));

        Assert.Equal(10, Sampled(sampler, 500));
    }

    [Fact]
    public void LessThanOneASecond_SamplesOneAndThenWaits()
    {
        var sampler = new RateLimitingSampler(0.5, _time);

        Assert.Equal(1, Sampled(sampler, 100));
        _time.Advance(TimeSpan.FromSeconds(1.9));
        Assert.Equal(0, Sampled(sampler, 100));
        _time.Advance(TimeSpan.FromSeconds(0.2));
        Assert.Equal(1, Sampled(sampler, 100));
    }

    [Fact]
    public void ByDefault_ChildrenFollowTheirParent_HoweverManyThereAre()
    {
        var sampler = ConfiguredSampler.Create(new ConfigurationBuilder().Build());
        var parent = new ActivityContext(
            ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded, isRemote: true);

        Assert.Equal(1000, Sampled(sampler, 1000, parent));
        Assert.InRange(Sampled(sampler, 1000), 100, 200);
    }

    [Theory]
    [InlineData("rate_limited", "0")]
    [InlineData("parentbased_rate_limited", "many")]
    [InlineData("traceidratio", "1.5")]
    public void Argument_ThatMakesNoSense_IsNamed(string name, string argument)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new("OTEL_TRACES_SAMPLER", name), new("OTEL_TRACES_SAMPLER_ARG", argument)]).Build();

        var refused = Assert.Throws<InvalidOperationException>(() => ConfiguredSampler.Create(configuration));

        Assert.Contains("OTEL_TRACES_SAMPLER_ARG", refused.Message, StringComparison.Ordinal);
    }

    private static int Sampled(Sampler sampler, int traces, ActivityContext parent = default) => Enumerable.Range(0, traces).Count(_ =>
        sampler.ShouldSample(new SamplingParameters(parent, ActivityTraceId.CreateRandom(), "request", ActivityKind.Server))
            .Decision == SamplingDecision.RecordAndSample);
}
