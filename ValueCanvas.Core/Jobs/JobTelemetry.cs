using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace ValueCanvas.Core.Jobs;

/// <summary>Spans of the queue: one where a job is sent, one for each attempt to process it, both in the trace of the request.</summary>
public static class JobTracing
{
    public const string SourceName = "ValueCanvas.Jobs";

    /// <summary>The queue's name in span names and attributes.</summary>
    public const string Destination = "llm_jobs";

    public static readonly ActivitySource Source = new(SourceName);

    internal static Activity? StartSend(string? type, int count) =>
        Source.StartActivity($"send {Destination}", ActivityKind.Producer)
            ?.SetTag("messaging.system", "valuecanvas")
            .SetTag("messaging.operation.name", "send")
            .SetTag("messaging.destination.name", Destination)
            .SetTag("messaging.batch.message_count", count > 1 ? count : null)
            .SetTag("valuecanvas.job.type", type);
}

internal sealed class JobMetrics
{
    public const string MeterName = "ValueCanvas.Jobs";

    private readonly Counter<long> _enqueued;

    public JobMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _enqueued = meter.CreateCounter<long>("valuecanvas.jobs.enqueued", "{job}", "Jobs accepted, after their commit.");
    }

    public void Enqueued(string type) => _enqueued.Add(1, new KeyValuePair<string, object?>("valuecanvas.job.type", type));
}
