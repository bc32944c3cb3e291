namespace ValueCanvas.Api.RateLimiting.Memory;

/// <summary>
/// Sliding and fixed window: counts by slot, each counted whole until the last instant of the slot has left the window. So no window of
/// that length, wherever it begins, ever holds more than the limit; the price is that a request may count for one slot too long.
/// </summary>
internal sealed class LocalWindow : LocalCounter
{
    // Oldest first.
    private readonly List<(long Slot, long Count)> _slots = [];
    private long _sum;
    private long _slotLength = 1;
    private long _window;

    public override Reading Look(Charge charge, long cost, long asked, long now)
    {
        Prune(charge, now);
        var wait = 0L;
        if (cost > charge.Limit)
        {
            wait =
                charge.Cost > charge.Limit || !MayPassAlone(charge, cost) ? Reading.Never
                : _sum + asked == 0 ? 0
                : Math.Max(1, Reset(now));
        }
        else if (_sum + asked + cost > charge.Limit)
        {
            wait = WaitFor(_sum + asked + cost - charge.Limit, now);
        }

        return Read(charge, now) with { Denied = wait != 0, Wait = wait };
    }

    public override Reading Take(Charge charge, long cost, long now, string id)
    {
        Add(charge, cost, now);
        return Read(charge, now) with { Place = _slots[^1].Slot };
    }

    public override void Refund(Charge charge, long amount, long now, long place, long refunds)
    {
        Prune(charge, now);
        var at = _slots.FindIndex(slot => slot.Slot == place);
        if (at < 0)
            return;
        var back = Math.Min(amount, _slots[at].Count);
        _slots[at] = (place, _slots[at].Count - back);
        _sum -= back;
    }

    public override void Add(Charge charge, long amount, long now)
    {
        Prune(charge, now);
        var slot = now / _slotLength;
        if (_slots is [.., var last] && last.Slot >= slot)
            _slots[^1] = (last.Slot, last.Count + amount);
        else
            _slots.Add((slot, amount));
        _sum += amount;
    }

    public override void Follow(Charge charge, long level, long now)
    {
        Prune(charge, now);
        if (level > _sum)
        {
            Add(charge, level - _sum, now);
            return;
        }

        // The oldest are those that may have left there already.
        Remove(charge, _sum - level);
    }

    // Of the oldest, for it is not known when that came.
    public override void Remove(Charge charge, long amount)
    {
        for (var i = 0; i < _slots.Count && amount > 0; i++)
        {
            var less = Math.Min(_slots[i].Count, amount);
            _slots[i] = (_slots[i].Slot, _slots[i].Count - less);
            _sum -= less;
            amount -= less;
        }
    }

    public override long Level(Charge charge, long now)
    {
        Prune(charge, now);
        return _sum;
    }

    protected override bool IsEmpty(long now) => _slots.Count == 0 || Reset(now) <= 0;

    private void Prune(Charge charge, long now)
    {
        (_window, _slotLength) = (charge.Policy.WindowMicros, LimitMath.Slot(charge.Policy.Algorithm, charge.Policy.WindowMicros));
        var first = Math.Max(0, now - _window) / _slotLength;
        var gone = 0;
        for (; gone < _slots.Count && now >= _window && _slots[gone].Slot < first; gone++)
            _sum -= _slots[gone].Count;
        _slots.RemoveRange(0, gone);
    }

    private long WaitFor(long needed, long now)
    {
        var freed = 0L;
        foreach (var (slot, count) in _slots)
        {
            freed += count;
            if (freed >= needed)
                return (slot + 1) * _slotLength + _window - now;
        }

        // The rest may be refused yet, and is not counted then.
        return Math.Max(1, Reset(now));
    }

    private long Reset(long now) => _slots.Count == 0 ? 0 : (_slots[^1].Slot + 1) * _slotLength + _window - now;

    private Reading Read(Charge charge, long now) => new(charge, false, Math.Max(0, charge.Limit - _sum), Reset(now), 0, 0, 0);
}
