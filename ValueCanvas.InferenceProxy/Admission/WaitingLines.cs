namespace ValueCanvas.InferenceProxy.Admission;

/// <summary>The lines of all models for which requests wait. Everything but the count is used under the queue's lock.</summary>
internal sealed class WaitingLines
{
    private readonly Dictionary<string, WaitingLine> _lines = new(StringComparer.Ordinal);
    private volatile int _count;

    /// <summary>Requests that wait.</summary>
    public int Count => _count;

    public WaitingLine[] All => [.. _lines.Values];

    public bool Has(string model) => _lines.ContainsKey(model);

    public Refusal Enter(Waiter waiter, int most)
    {
        if (_count >= most && Full(waiter, most) is var refusal and not Refusal.None)
            return refusal;

        if (!_lines.TryGetValue(waiter.Request.Model, out var line))
            _lines.Add(waiter.Request.Model, line = new WaitingLine());

        line.Add(waiter);
        _count++;
        return Refusal.None;
    }

    public void Leave(Waiter waiter, bool served)
    {
        var line = _lines[waiter.Request.Model];
        line.Remove(waiter, served);
        _count--;
        if (line.Count == 0)
            _lines.Remove(waiter.Request.Model);
    }

    // The least important one makes room, unless that is the newcomer itself.
    private Refusal Full(Waiter newcomer, int most)
    {
        var line = _lines.GetValueOrDefault(newcomer.Request.Model);
        var (own, tenants) = line?.ShareOf(newcomer.Caller.Tenant) ?? default;
        if (line?.Least(newcomer.Caller.Priority) is not { } least)
            return tenants > 1 && own > most / tenants ? Refusal.OverShare : Refusal.Full;

        Leave(least, served: false);
        least.Refuse(Refusal.Full);
        return Refusal.None;
    }
}
