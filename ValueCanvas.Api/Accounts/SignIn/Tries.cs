namespace ValueCanvas.Api.Accounts.SignIn;

/// <summary>
/// What a try is counted under: a pair of keys with growing delays (an account from a network), and windows that hold so many. All or
/// nothing: a try that has to wait is not counted.
/// </summary>
/// <param name="Pair">Each try doubles the wait for the next, once the free ones are used up.</param>
/// <param name="FreeTries">So many have no wait.</param>
/// <param name="First">The first wait.</param>
/// <param name="Most">The longest wait; after four times this, and at least an hour, the pair is forgotten.</param>
/// <param name="Windows">Further counts.</param>
internal sealed record Tries(string Pair, int FreeTries, TimeSpan First, TimeSpan Most, IReadOnlyList<TryWindow> Windows)
{
    public TimeSpan Memory => TimeSpan.FromTicks(Math.Max(TimeSpan.TicksPerHour, Most.Ticks * 4));

    /// <summary>How long after the last of so many tries the next may come.</summary>
    public TimeSpan Delay(int tries) => tries < FreeTries
        ? TimeSpan.Zero
        : TimeSpan.FromMilliseconds(Math.Min(
            Most.TotalMilliseconds,
            First.TotalMilliseconds * Math.Pow(2, Math.Min(tries - FreeTries, 30))));
}

/// <param name="Key">What is counted.</param>
/// <param name="Limit">So many may be counted.</param>
/// <param name="Length">From the first one on.</param>
/// <param name="Binds">False: it is counted, but refuses nobody.</param>
internal sealed record TryWindow(string Key, int Limit, TimeSpan Length, bool Binds = true);
