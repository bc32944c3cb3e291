using System.Diagnostics.Metrics;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>Whether the books are kept.</summary>
internal sealed class UsageMetrics
{
    public const string MeterName = "ValueCanvas.Usage";

    private readonly Counter<long> _rows;
    private readonly Histogram<double> _commit;
    private readonly Counter<long> _alerts;
    private readonly Counter<long> _refused;

    public UsageMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _rows = meter.CreateCounter<long>(
            "valuecanvas.usage.rows", "{row}",
                "Rows of llm_usage by where they went: database, disk, replayed, written_off, rejected, lost.");
        _commit = meter.CreateHistogram<double>("valuecanvas.usage.commit.duration", "s", "Time to commit a group of rows.");
        _alerts = meter.CreateCounter<long>("valuecanvas.budget.alerts", "{alert}", "Thresholds of budgets that were crossed.");
        _refused = meter.CreateCounter<long>("valuecanvas.budget.refused", "{call}", "Calls that a budget did not hold.");
    }

    public void Rows(int count, string where)
    {
        if (count > 0)
            _rows.Add(count, new KeyValuePair<string, object?>("where", where));
    }

    public void Committed(TimeSpan took) => _commit.Record(took.TotalSeconds);

    public void Alert() => _alerts.Add(1);

    public void Refused() => _refused.Add(1);
}
