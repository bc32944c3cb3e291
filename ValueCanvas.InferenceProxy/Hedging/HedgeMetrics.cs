using System.Diagnostics.Metrics;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Hedging;

internal sealed class HedgeMetrics(IMeterFactory meters)
{
    private readonly Counter<long> _hedges = meters.Create(InferenceMetrics.MeterName).CreateCounter<long>(
        "valuecanvas.inference.hedges", "{attempt}",
        "Second attempts at a stream that was slow to begin, by outcome; and those that the cap refused.");

    public void Won() => Add("won");

    public void Lost() => Add("lost");

    public void Refused() => Add("refused");

    private void Add(string outcome) => _hedges.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
}
