using System.Diagnostics.Metrics;

namespace ValueCanvas.Worker.Webhooks;

/// <summary>Of all endpoints together: whose they are, and where, stands in no metric.</summary>
internal sealed class WebhookMetrics
{
    private readonly Counter<long> _attempts;
    private readonly Histogram<double> _duration;

    public WebhookMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(Execution.WorkerMetrics.MeterName);
        _attempts = meter.CreateCounter<long>("valuecanvas.webhooks.attempts", "{attempt}", "Attempts to deliver, by outcome.");
        _duration = meter.CreateHistogram<double>("valuecanvas.webhooks.duration", "s", "From an attempt's start to the answer.");
    }

    public void Attempted(WebhookAnswer answer, TimeSpan duration)
    {
        var outcome = new KeyValuePair<string, object?>("valuecanvas.webhook.outcome", answer.Error ?? "delivered");
        _attempts.Add(1, outcome);
        _duration.Record(duration.TotalSeconds, outcome);
    }
}
