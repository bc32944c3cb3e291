namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>Until when a server wants nothing sent, by its own word; in ticks since the breaker's birth.</summary>
internal struct Cooling
{
    private long _until; // 0 for never
    private bool _rateLimited;

    /// <summary>Can be asked without a lock.</summary>
    public readonly bool IsOff => Volatile.Read(in _until) == 0;

    public readonly BreakerWait? Left(long now) => _until > now ? new BreakerWait(TimeSpan.FromTicks(_until - now), _rateLimited) : null;

    /// <summary>A shorter one changes nothing.</summary>
    public void Extend(long until, bool rateLimited)
    {
        if (until > _until)
            (_until, _rateLimited) = (until, rateLimited);
    }

    public void End() => _until = 0;
}
