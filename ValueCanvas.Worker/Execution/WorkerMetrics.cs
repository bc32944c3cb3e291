using System.Diagnostics.Metrics;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Worker.Execution;

/// <summary>What the worker does, by type of job; types are those that have a handler, so there are few.</summary>
internal sealed class WorkerMetrics
{
    public const string MeterName = "ValueCanvas.Worker";

    private const string TypeTag = "valuecanvas.job.type";
    private static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
    };

    private readonly Counter<long> _attempts;
    private readonly UpDownCounter<long> _running;
    private readonly Histogram<double> _wait;
    private readonly Histogram<double> _duration;
    private readonly Counter<long> _rescued;
    private QueueDepth? _depth;

    public WorkerMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _attempts = meter.CreateCounter<long>("valuecanvas.jobs.attempts", "{attempt}", "Attempts ended, by outcome.");
        _running = meter.CreateUpDownCounter<long>("valuecanvas.jobs.running", "{job}", "Jobs that this worker runs.");
        _wait = meter.CreateHistogram("valuecanvas.jobs.wait", "s", "From when an attempt was due to its start.", advice: Seconds);
        _duration = meter.CreateHistogram("valuecanvas.jobs.duration", "s", "From an attempt's start to its record.", advice: Seconds);
        _rescued = meter.CreateCounter<long>("valuecanvas.jobs.rescued", "{job}", "Jobs taken from workers that stopped renewing.");
        meter.CreateObservableGauge(
            "valuecanvas.jobs.due", () => _depth?.Due ?? 0, "{job}", "Jobs of all tenants that a worker could start now.");
        meter.CreateObservableGauge(
            "valuecanvas.jobs.held", () => _depth?.Running ?? 0, "{job}", "Jobs of all tenants that workers run.");
        meter.CreateObservableGauge(
            "valuecanvas.jobs.oldest", () => _depth?.OldestSeconds ?? 0, "s", "For how long the oldest job that is due has been.");
    }

    /// <summary>What is told of the whole queue until the next measurement.</summary>
    public void Measured(QueueDepth depth) => Volatile.Write(ref _depth, depth);

    public void Started(string type, TimeSpan wait)
    {
        _running.Add(1, new KeyValuePair<string, object?>(TypeTag, type));
        _wait.Record(wait.TotalSeconds, new KeyValuePair<string, object?>(TypeTag, type));
    }

    public void Ended(string type, string outcome, TimeSpan duration)
    {
        var typeTag = new KeyValuePair<string, object?>(TypeTag, type);
        var outcomeTag = new KeyValuePair<string, object?>("valuecanvas.job.outcome", outcome);
        _running.Add(-1, typeTag);
        _attempts.Add(1, typeTag, outcomeTag);
        _duration.Record(duration.TotalSeconds, typeTag, outcomeTag);
    }

    public void Rescued(JobState state) =>
        _rescued.Add(1, new KeyValuePair<string, object?>("valuecanvas.job.state", state.ToName()));
}
