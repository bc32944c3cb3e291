namespace ValueCanvas.Api.RateLimiting.Memory;

/// <summary>Fixed window: a count that begins anew when the window of the clock ends. Redis says when that is.</summary>
internal sealed class LocalFixedWindow : LocalCounter
{
    private long _end;
    private long _count;

    public override Reading Look(Charge charge, long cost, long now)
    {
        Turn(charge, now);
        var wait = 0L;
        if (cost > charge.Limit)
            wait = charge.Cost > charge.Limit || !MayPassAlone(charge, cost) ? Reading.Never : _count == 0 ? 0 : _end - now;
        else if (_count + cost > charge.Limit)
            wait = _end - now;
        return Read(charge, now) with { Denied = wait != 0, Wait = wait };
    }

    public override Reading Take(Charge charge, long cost, long now, string id)
    {
        Add(charge, cost, now);
        return Read(charge, now) with { Place = _end };
    }

    public override void Refund(Charge charge, long amount, long now, long place, long refunds)
    {
        Turn(charge, now);
        if (place == _end)
            _count = Math.Max(0, _count - amount);
    }

    public override void Add(Charge charge, long amount, long now)
    {
        Turn(charge, now);
        _count += amount;
    }

    public override void Follow(Charge charge, long level, long reset, long now) => (_count, _end) = (level, now + reset);

    public override long Level(Charge charge, long now)
    {
        Turn(charge, now);
        return _count;
    }

    public override bool IsEmpty(long now) => _count == 0 || now >= _end;

    private void Turn(Charge charge, long now)
    {
        if (now < _end)
            return;
        var window = charge.Policy.WindowMicros;
        _count = 0;
        // The ends stay where they are: a whole number of windows after the last.
        _end += window * ((now - _end) / window + 1);
    }

    private Reading Read(Charge charge, long now) => new(charge, false, Math.Max(0, charge.Limit - _count), _end - now, 0, 0, 0);
}
