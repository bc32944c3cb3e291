using OpenTelemetry.Trace;

namespace ValueCanvas.ServiceDefaults.Telemetry;

/// <summary>
/// Samples at most so many new traces a second, with bursts of one second's worth: what a person can look at is there, and a service under
/// load does not spend its time on spans that nobody reads. Metrics count everything all the same.
/// </summary>
internal sealed class RateLimitingSampler(double tracesPerSecond, TimeProvider time) : Sampler
{
    private readonly long _interval = (long)(time.TimestampFrequency / tracesPerSecond);

    // When all that was sampled would be paid for at the steady rate; at most a second ahead.
    private long _paid;

    public override SamplingResult ShouldSample(in SamplingParameters samplingParameters)
    {
        var now = time.GetTimestamp();
        while (true)
        {
            var paid = Volatile.Read(ref _paid);
            var next = Math.Max(paid, now) + _interval;
            if (next - now > Math.Max(time.TimestampFrequency, _interval))
                return new SamplingResult(SamplingDecision.Drop);

            if (Interlocked.CompareExchange(ref _paid, next, paid) == paid)
                return new SamplingResult(SamplingDecision.RecordAndSample);
        }
    }
}
