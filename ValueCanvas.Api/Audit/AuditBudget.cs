using Microsoft.Extensions.Options;

namespace ValueCanvas.Api.Audit;

/// <summary>
/// Bounds what strangers can write into the log: so many rows a minute, and so many from one source. The rest is counted by event, and
/// the count is written when the minute is over, so that an attack is seen in its size but does not fill the disk.
/// </summary>
internal sealed class AuditBudget : IDisposable
{
    private const int MostNames = 15;
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _bySource = [];
    private readonly Dictionary<string, long> _refused = [];
    private readonly AuditOptions _options;
    private readonly AuditMetrics _metrics;
    private readonly Action<IReadOnlyList<(string Name, string? Value)>> _summary;
    private readonly ITimer _timer;
    private int _taken;

    public AuditBudget(
        IOptions<AuditOptions> options, AuditMetrics metrics, TimeProvider time, Action<IReadOnlyList<(string Name, string? Value)>> summary)
    {
        _options = options.Value;
        _metrics = metrics;
        _summary = summary;
        _timer = time.CreateTimer(_ => EndMinute(), null, Window, Window);
    }

    /// <summary>False where the event is to be counted only, which this has done.</summary>
    public bool Take(string name, string? source)
    {
        lock (_gate)
        {
            var ofSource = _bySource.GetValueOrDefault(source ?? "");
            if (_taken < _options.MaxRefusalsPerMinute && ofSource < _options.MaxRefusalsPerSource)
            {
                _taken++;
                _bySource[source ?? ""] = ofSource + 1;
                return true;
            }

            var counted = _refused.Count < MostNames || _refused.ContainsKey(name) ? name : "other";
            _refused[counted] = _refused.GetValueOrDefault(counted) + 1;
        }

        _metrics.Summed();
        return false;
    }

    /// <summary>Writes the counts of the minute; also at the end, so that none is lost.</summary>
    public void EndMinute()
    {
        (string, string?)[] counts;
        lock (_gate)
        {
            counts = [.. _refused.Select(pair => (pair.Key, (string?)pair.Value.ToString(System.Globalization.CultureInfo.InvariantCulture)))];
            _refused.Clear();
            _bySource.Clear();
            _taken = 0;
        }

        if (counts.Length > 0)
            _summary(counts);
    }

    public void Dispose() => _timer.Dispose();
}
