using System.Diagnostics;
using System.Diagnostics.Metrics;
using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Telemetry;

/// <summary>The proxy's metrics. Models and targets as labels are bounded: only configured and served names get here.</summary>
internal sealed class InferenceMetrics
{
    public const string MeterName = "ValueCanvas.InferenceProxy";

    /// <summary>Boundaries as the conventions give them, in seconds.</summary>
    internal static readonly double[] DurationBuckets =
        [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

    private static readonly double[] FirstTokenBuckets =
        [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

    private readonly Histogram<double> _timeToFirstToken;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _attemptDuration;
    private readonly UpDownCounter<int> _inFlight;
    private readonly Counter<long> _attempts;
    private readonly Counter<long> _failures;
    private readonly TimeProvider _time;

    public InferenceMetrics(IMeterFactory meters, TimeProvider time)
    {
        _time = time;
        var meter = meters.Create(MeterName);
        _timeToFirstToken = meter.CreateHistogram(
            "gen_ai.server.time_to_first_token", "s", "From the request to the first content of a streamed answer.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = FirstTokenBuckets });
        _duration = meter.CreateHistogram("gen_ai.server.request.duration", "s", "From the request to the end of the answer.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = DurationBuckets });
        _attemptDuration = meter.CreateHistogram(
            "gen_ai.client.operation.duration", "s", "From sending a request to a replica to the end of its answer.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = DurationBuckets });
        _inFlight = meter.CreateUpDownCounter<int>("valuecanvas.inference.in_flight", "{request}", "Requests under way at a replica.");
        _attempts = meter.CreateCounter<long>("valuecanvas.inference.attempts", "{attempt}", "Requests sent to a replica.");
        _failures = meter.CreateCounter<long>(
            "valuecanvas.inference.failures", "{attempt}", "Attempts that gave no complete answer, by cause.");
    }

    public void AttemptStarted(Replica replica)
    {
        var target = new KeyValuePair<string, object?>(GenAi.Target, replica.Name);
        _attempts.Add(1, target);
        _inFlight.Add(1, target);
    }

    public void AttemptEnded(InferenceOperation operation, string model, Replica replica, AttemptFailure failure, TimeSpan elapsed)
    {
        var target = new KeyValuePair<string, object?>(GenAi.Target, replica.Name);
        _inFlight.Add(-1, target);
        if (failure != AttemptFailure.None)
            _failures.Add(1, target, new KeyValuePair<string, object?>("cause", failure.Label()));

        if (_attemptDuration.Enabled)
            _attemptDuration.Record(elapsed.TotalSeconds, Labels(operation, model, replica, failure));
    }

    public void FirstBytes(InferenceOperation operation, string model, Replica replica, long started, Activity? span)
    {
        var elapsed = _time.GetElapsedTime(started).TotalSeconds;
        span?.SetTag(GenAi.TimeToFirstChunk, elapsed);
        if (_timeToFirstToken.Enabled)
            _timeToFirstToken.Record(elapsed, GenAi.Labels(operation, model, replica));
    }

    public void Answered(InferenceOperation operation, string model, Replica replica, int statusCode, AttemptFailure failure, long started)
    {
        if (_duration.Enabled)
        {
            var labels = Labels(operation, model, replica, failure);
            labels.Add(GenAi.StatusCode, statusCode);
            _duration.Record(_time.GetElapsedTime(started).TotalSeconds, labels);
        }
    }

    private static TagList Labels(InferenceOperation operation, string model, Replica replica, AttemptFailure failure)
    {
        var labels = GenAi.Labels(operation, model, replica);
        if (failure != AttemptFailure.None)
            labels.Add(GenAi.Error, failure.Label());

        return labels;
    }
}
