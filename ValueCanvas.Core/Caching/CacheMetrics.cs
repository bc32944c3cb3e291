using System.Diagnostics.Metrics;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching;

/// <summary>What the response cache did; no labels but those with few values.</summary>
internal sealed class CacheMetrics
{
    public const string MeterName = "ValueCanvas.ResponseCache";

    private readonly Counter<long> _requests;
    private readonly Counter<long> _answers;
    private readonly Counter<long> _lost;

    public CacheMetrics(IMeterFactory meters, Func<long>? bytes = null, Func<long>? flights = null)
    {
        var meter = meters.Create(MeterName);
        _requests = meter.CreateCounter<long>(
            "valuecanvas.cache.requests", "{request}", "Calls of models, by what the cache did for them.");
        _answers = meter.CreateCounter<long>(
            "valuecanvas.cache.answers", "{answer}", "Answers that models gave, by whether they were kept, or why not.");
        _lost = meter.CreateCounter<long>(
            "valuecanvas.cache.records.lost", "{record}", "Counts that could not be written to the database.");
        if (bytes is not null)
            meter.CreateObservableGauge("valuecanvas.cache.memory", bytes, "By", "Answers in the memory of this instance.");
        if (flights is not null)
            meter.CreateObservableGauge("valuecanvas.cache.flights", flights, "{flight}", "Calls of models that others can read along.");
    }

    public void Request(CacheStatus status, string level) => _requests.Add(
        1,
        new KeyValuePair<string, object?>("valuecanvas.cache.status", CacheHeaders.Text(status)),
        new KeyValuePair<string, object?>("valuecanvas.cache.level", level));

    public void Answer(string fate) => _answers.Add(1, new KeyValuePair<string, object?>("valuecanvas.cache.fate", fate));

    public void Lost(int records) => _lost.Add(records);
}
