namespace ValueCanvas.Tests.Chaos.Fleet;

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
        Warm = 1,
        Concurrency = 4,
        Pace = TimeSpan.FromMilliseconds(20),
        // Leases so short that a lost worker is a matter of seconds.
        Leases =
        [
            ("Worker:Lease", "00:00:01.5"), ("Worker:Heartbeat", "00:00:00.4"), ("Worker:RescueInterval", "00:00:00.4"),
            ("Worker:PollInterval", "00:00:00.3"),
        ],
        // With such leases a busy machine looks like a lost worker.
        MaxCrashes = 50,
        Times = 2,
        Fault = TimeSpan.FromSeconds(1),
    };

    /// <summary>With everything that is the default.</summary>
    public static readonly ChaosSize Long = new()
    {
        Workers = 3,
        Backlog = 60,
        Warm = 120,
        // 24 jobs of 1.5 s at a time: the models are what limits the rate, not what else this machine does.
        Concurrency = 8,
        Pace = TimeSpan.FromMilliseconds(250),
        Leases = [],
        MaxCrashes = 3,
        Proxied = true,
        Times = 6,
        Fault = TimeSpan.FromSeconds(12),
        Measured = true,
    };

    public static ChaosSize Current { get; } = Environment.GetEnvironmentVariable("VALUECANVAS_CHAOS") == "long" ? Long : Quick;

    public required int Workers { get; init; }

    /// <summary>So many jobs wait at any time, so that a free worker always finds one.</summary>
    public required int Backlog { get; init; }

    /// <summary>So many jobs have been done before the first fault.</summary>
    public required int Warm { get; init; }

    /// <summary>Jobs that a worker runs at the same time.</summary>
    public required int Concurrency { get; init; }

    /// <summary>Between two words of an answer.</summary>
    public required TimeSpan Pace { get; init; }

    public required IReadOnlyList<(string, string)> Leases { get; init; }

    public required int MaxCrashes { get; init; }

    /// <summary>Two model servers behind the real proxy, instead of one in its place.</summary>
    public bool Proxied { get; init; }

    /// <summary>How often something is done that happens at once: a kill, a restart.</summary>
    public required int Times { get; init; }

    /// <summary>How long something lasts.</summary>
    public required TimeSpan Fault { get; init; }

    /// <summary>The rate is measured, before, meanwhile and after.</summary>
    public bool Measured { get; init; }
}
