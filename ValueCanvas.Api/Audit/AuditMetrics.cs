using System.Diagnostics.Metrics;

namespace ValueCanvas.Api.Audit;

internal sealed class AuditMetrics
{
    public const string MeterName = "ValueCanvas.Audit";

    private readonly Counter<long> _written;
    private readonly Counter<long> _lost;
    private readonly Counter<long> _summed;

    public AuditMetrics(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _written = meter.CreateCounter<long>("valuecanvas.audit.written", "{row}", "Rows written off the path of requests.");
        _lost = meter.CreateCounter<long>(
            "valuecanvas.audit.lost", "{row}", "Rows that stand in the service's own log alone. Alert above 0.");
        _summed = meter.CreateCounter<long>("valuecanvas.audit.summed", "{event}", "Refusals that were counted in a common row.");
    }

    public void Written(int rows) => _written.Add(rows);

    public void Lost() => _lost.Add(1);

    public void Summed() => _summed.Add(1);
}
