namespace ValueCanvas.InferenceProxy.Operations;

/// <summary>
/// The latest action about each subject, as far as this proxy knows. Boards of several proxies become equal by exchanging what they hold.
/// </summary>
internal sealed class OperatorBoard(TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, OperatorAction> _latest = new(StringComparer.Ordinal);
    private long _highest;

    /// <summary>Everything that holds, in its order.</summary>
    public OperatorAction[] All
    {
        get
        {
            lock (_gate)
                return [.. _latest.Values.OrderBy(action => action.Sequence)];
        }
    }

    public OperatorAction Put(string replica, string? model, OperatorVerb verb, TimeSpan? duration)
    {
        lock (_gate)
        {
            var now = time.GetUtcNow();
            _highest = Math.Max(_highest + 1, now.UtcTicks);
            var action = new OperatorAction(_highest, replica, model, verb, now, now + duration);
            return _latest[action.Subject] = action;
        }
    }

    /// <summary>Takes over what others know better; says what they lack, and what all can forget.</summary>
    public (OperatorAction[] Lacking, OperatorAction[] Forgotten) Exchange(IEnumerable<OperatorAction> theirs)
    {
        lock (_gate)
        {
            var known = new Dictionary<string, OperatorAction>(StringComparer.Ordinal);
            foreach (var action in theirs)
            {
                known[action.Subject] = action;
                _highest = Math.Max(_highest, action.Sequence);
                if (!_latest.TryGetValue(action.Subject, out var ours) || ours.Sequence < action.Sequence)
                    _latest[action.Subject] = action;
            }

            var now = time.GetUtcNow();
            var forgotten = _latest.Values.Where(action => action.IsForgotten(now)).ToArray();
            Array.ForEach(forgotten, action => _latest.Remove(action.Subject));
            var lacking = _latest.Values
                .Where(ours => known.GetValueOrDefault(ours.Subject) is not { } their || their.Sequence < ours.Sequence);
            return ([.. lacking], forgotten);
        }
    }
}
