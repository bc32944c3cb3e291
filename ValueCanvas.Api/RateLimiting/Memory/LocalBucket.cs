namespace ValueCanvas.Api.RateLimiting.Memory;

/// <summary>Token bucket, as the time at which it is full again.</summary>
internal sealed class LocalBucket : LocalCounter
{
    private long _full;
    private long _refunded;

    public override Reading Look(Charge charge, long cost, long asked, long now)
    {
        if (charge.Limit == 0)
            return new(charge, true, 0, 0, Reading.Never, 0, 0);
        var from = Math.Max(_full, now) + LimitMath.Increment(asked, charge.Limit, charge.Policy.WindowMicros);
        var takes = LimitMath.Increment(cost, charge.Limit, charge.Policy.WindowMicros);
        var wait = Math.Max(0, from + takes - charge.BurstMicros - now);
        if (takes > charge.BurstMicros)
            wait = !MayPassAlone(charge, cost) ? Reading.Never : from - now;
        return Read(charge, from, now) with { Denied = wait != 0, Wait = wait };
    }

    public override Reading Take(Charge charge, long cost, long now, string id)
    {
        _full = Math.Max(_full, now) + LimitMath.Increment(cost, charge.Limit, charge.Policy.WindowMicros);
        return Read(charge, _full, now) with { Place = _full };
    }

    public override void Refund(Charge charge, long amount, long now, long place, long refunds)
    {
        // Where the charge ends now: every refund since may have moved it.
        var left = place - Math.Max(0, _refunded - refunds) - now;
        var back = Math.Min(Math.Min(LimitMath.Refill(amount, charge.Limit, charge.Policy.WindowMicros), left), _full - now);
        if (back <= 0)
            return;
        _full -= back;
        _refunded += back;
    }

    public override void Add(Charge charge, long amount, long now) =>
        _full = Math.Max(_full, now) + LimitMath.Increment(amount, charge.Limit, charge.Policy.WindowMicros);

    public override void Remove(Charge charge, long amount) =>
        _full -= LimitMath.Refill(amount, charge.Limit, charge.Policy.WindowMicros);

    public override void Follow(Charge charge, long level, long now) => _full = now + level;

    public override long Level(Charge charge, long now) => Math.Max(0, _full - now);

    protected override bool IsEmpty(long now) => _full <= now;

    private Reading Read(Charge charge, long full, long now) => new(
        charge,
        false,
        LimitMath.Remaining(charge.BurstMicros - (full - now), charge.Limit, charge.Policy.WindowMicros),
        full - now,
        0,
        0,
        _refunded);
}
