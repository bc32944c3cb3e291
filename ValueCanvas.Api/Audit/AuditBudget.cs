using Microsoft.Extensions.Options;

namespace ValueCanvas.Api.Audit;

/// <summary>
/// Bounds what is written about things done in vain: so many rows a minute of one caller, or of one source, and of all strangers together.
/// The rest is counted by event, and the count is written when the minute is over, so that an attack is seen in its size but
/// does not fill the disk.
/// </summary>
internal sealed class AuditBudget : IDisposable
{
    private const int MostNames = 15;
    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _byDoer = [];
    private readonly Dictionary<string, long> _refused = [];
    private readonly AuditOptions _options;
    private readonly AuditMetrics _metrics;
    private readonly Action<IReadOnlyList<(string Name, string? Value)>> _summary;
    private readonly ITimer _timer;
    private int _takenByStrangers;
    private int _takenByCallers;

    public AuditBudget(
        IOptions<AuditOptions> options, AuditMetrics metrics, TimeProvider time,
            Action<IReadOnlyList<(string Name, string? Value)>> summary)
    {
        _options = options.Value;
        _metrics = metrics;
        _summary = summary;
        _timer = time.CreateTimer(_ => EndMinute(), null, Window, Window);
    }

    /// <summary>False where the event is to be counted only, which this has done.</summary>
    /// <param name="name">The event's.</param>
    /// <param name="doer">The caller's id, or a stranger's source.</param>
    /// <param name="known">Whether it is a caller: an attack by strangers does not hide what callers do.</param>
    public bool Take(string name, string doer, bool known)
    {
        lock (_gate)
        {
            ref var taken = ref known ? ref _takenByCallers : ref _takenByStrangers;
            var ofDoer = _byDoer.GetValueOrDefault(doer);
            if (taken < _options.MaxRefusalsPerMinute && ofDoer < _options.MaxRefusalsPerSource)
            {
                taken++;
                _byDoer[doer] = ofDoer + 1;
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
            counts = [.. _refused.Select(
                pair => (pair.Key, (string?)pair.Value.ToString(System.Globalization.CultureInfo.InvariantCulture)))];
            _refused.Clear();
            _byDoer.Clear();
            (_takenByStrangers, _takenByCallers) = (0, 0);
        }

        if (counts.Length > 0)
            _summary(counts);
    }

    public void Dispose() => _timer.Dispose();
}
