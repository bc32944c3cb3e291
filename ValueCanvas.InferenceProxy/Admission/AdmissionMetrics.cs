using System.Diagnostics.Metrics;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Admission;

/// <summary>How many wait for a place, how long they did, and why some were refused.</summary>
internal sealed class AdmissionMetrics
{
    private static readonly double[] Buckets = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40];

    private readonly Meter _meter;
    private readonly Histogram<double> _wait;
    private readonly Counter<long> _refused;

    public AdmissionMetrics(IMeterFactory meters)
    {
        _meter = meters.Create(InferenceMetrics.MeterName);
        _wait = _meter.CreateHistogram("valuecanvas.inference.queue.wait", "s", "How long a request that had to wait for a place did.",
            advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = Buckets });
        _refused = _meter.CreateCounter<long>("valuecanvas.inference.queue.refused",
            "{request}", "Requests refused for want of a place, by cause.");
    }

    public void Observe(Func<int> depth) =>
        _meter.CreateObservableGauge("valuecanvas.inference.queue.depth", depth,
            "{request}", "Requests that wait for a place at a replica.");

    public void Waited(TimeSpan time, Refusal refusal)
    {
        _wait.Record(time.TotalSeconds);
        if (refusal != Refusal.None)
            Refused(refusal);
    }

    public void Refused(Refusal refusal) => _refused.Add(1, new KeyValuePair<string, object?>("cause", refusal switch
    {
        Refusal.Full => "full",
        Refusal.OverShare => "over_share",
        Refusal.Waited => "waited",
        Refusal.Deadline => "deadline",
        _ => "client_gone",
    }));
}
