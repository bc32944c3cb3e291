namespace ValueCanvas.Api.Authentication;

/// <summary>What an API key was good for when it was looked up.</summary>
/// <param name="Caller">Whom it stands for.</param>
/// <param name="ExpiresAt">When it ends by itself; null: never.</param>
/// <param name="LookedUpAt">A timestamp of the clock's.</param>
internal sealed record KnownKey(Caller Caller, DateTimeOffset? ExpiresAt, long LookedUpAt)
{
    private long _usedAt;

    /// <summary>Ticks, UTC; 0: not used since it was looked up.</summary>
    public long UsedAt => Volatile.Read(ref _usedAt);

    /// <summary>The last use that the database was told of.</summary>
    public long ToldAt { get; set; }

    // A key that is used by many processors at once is not written by all of them all the time.
    public void Use(DateTimeOffset now)
    {
        if (now.UtcTicks - UsedAt > TimeSpan.TicksPerSecond)
            Volatile.Write(ref _usedAt, now.UtcTicks);
    }
}
