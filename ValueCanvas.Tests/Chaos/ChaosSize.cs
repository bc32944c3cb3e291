namespace ValueCanvas.Tests.Chaos;

/// <summary>
/// How hard and how long: a quick look within every run of the tests, or, with VALUECANVAS_CHAOS=long, each fault for as long as it
/// takes to say what it does to the rate (<c>bench/run.sh chaos</c>).
/// </summary>
internal sealed record ChaosSize
{
    public static readonly ChaosSize Quick = new()
    {
        Workers = 2,
        Backlog = 24,
        Pace = TimeSpan.FromMilliseconds(20),
        // Leases so short that a lost worker is a matter of seconds.
        Leases =
        [
            ("Worker:Lease", "00:00:01.5"), ("Worker:Heartbeat", "00:00:00.4"), ("Worker:RescueInterval", "00:00:00.4"),
            ("Worker:PollInterval", "00:00:00.3"),
        ],
        Times = 2,
        Fault = TimeSpan.FromSeconds(1),
        Frozen = TimeSpan.Zero,
    };

    /// <summary>With the leases that are the default.</summary>
    public static readonly ChaosSize Long = new()
    {
        Workers = 3,
        Backlog = 60,
        Pace = TimeSpan.FromMilliseconds(80),
        Leases = [],
        Times = 6,
        Fault = TimeSpan.FromSeconds(12),
        Frozen = TimeSpan.FromSeconds(60),
        Window = TimeSpan.FromSeconds(10),
    };

    public static ChaosSize Current { get; } = Environment.GetEnvironmentVariable("VALUECANVAS_CHAOS") == "long" ? Long : Quick;

    public required int Workers { get; init; }

    /// <summary>So many jobs wait at any time, so that a free worker always finds one.</summary>
    public required int Backlog { get; init; }

    /// <summary>Between two words of an answer.</summary>
    public required TimeSpan Pace { get; init; }

    public required IReadOnlyList<(string, string)> Leases { get; init; }

    /// <summary>How often something is done that happens at once: a kill, a restart.</summary>
    public required int Times { get; init; }

    /// <summary>How long something lasts.</summary>
    public required TimeSpan Fault { get; init; }

    /// <summary>How long a worker stays frozen at least; it stays so until its jobs have been taken over.</summary>
    public required TimeSpan Frozen { get; init; }

    /// <summary>Over which the rate is measured, before and after; null: it is not.</summary>
    public TimeSpan? Window { get; init; }
}
