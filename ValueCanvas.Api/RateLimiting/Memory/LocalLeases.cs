namespace ValueCanvas.Api.RateLimiting.Memory;

/// <summary>Concurrency: the requests of this instance that run. They end with the process, so none needs a lifetime.</summary>
internal sealed class LocalLeases : LocalCounter
{
    private readonly HashSet<string> _running = [];
    private readonly HashSet<string> _aside = [];

    public override Reading Look(Charge charge, long cost, long asked, long now)
    {
        // The cost is that at every instance together: so many times must what runs here fit into the limit.
        var share = charge.Limit == 0 ? 0 : Math.Max(1, charge.Limit / cost);
        var denied = _running.Count + asked + 1 > share;
        return Read(charge, share) with { Denied = denied, Wait = denied ? LimitMath.ConcurrencyWait : 0 };
    }

    public override Reading Take(Charge charge, long cost, long now, string id)
    {
        _running.Add(id);
        return Read(charge, Math.Max(1, charge.Limit / cost));
    }

    public void Release(string id)
    {
        _running.Remove(id);
        _aside.Remove(id);
    }

    /// <summary>Redis admitted it: it runs here, too.</summary>
    public void Note(string id) => _running.Add(id);

    public override void Refund(Charge charge, long amount, long now, long place, long refunds)
    {
    }

    public override void Add(Charge charge, long amount, long now)
    {
    }

    public override void Remove(Charge charge, long amount)
    {
    }

    public override void Follow(Charge charge, long level, long now)
    {
    }

    public override bool FitsAside(Charge charge, int instances, long now) =>
        _aside.Count + 1 <= Math.Max(1, charge.Limit / (LimitMath.Quarter * instances));

    public override void TakeAside(Charge charge, int instances, long now, string id) => _aside.Add(id);

    public override void ReturnAside(Charge charge, int instances, string id) => _aside.Remove(id);

    public override long Level(Charge charge, long now) => 0;

    protected override bool IsEmpty(long now) => _running.Count == 0;

    private Reading Read(Charge charge, long share) => new(charge, false, Math.Max(0, share - _running.Count), 0, 0, 0, 0);
}
