namespace ValueCanvas.Worker.Execution;

/// <summary>Configuration section <c>Worker</c>.</summary>
internal sealed class JobWorkerOptions
{
    public const string Section = "Worker";

    /// <summary>Jobs that this process runs at the same time.</summary>
    public int Concurrency { get; set; } = 8;

    /// <summary>How often an idle worker looks for jobs while Redis hints arrive; ±20 %, so that workers spread.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The same while Redis is away.</summary>
    public TimeSpan PollIntervalWithoutHints { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>A job whose worker has not renewed for this long is given to another.</summary>
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(20);

    public TimeSpan Heartbeat { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How often a worker looks whether jobs that it runs were called off.</summary>
    public TimeSpan CancelInterval { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>An attempt that takes longer has failed.</summary>
    public TimeSpan AttemptTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How long running jobs may go on after SIGTERM before they are handed back. Less than <c>Shutdown:Timeout</c>.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>How often abandoned jobs are looked for, by every worker.</summary>
    public TimeSpan RescueInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How often schedules are looked at, by every worker.</summary>
    public TimeSpan ScheduleInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>With this many lost workers a job is given up.</summary>
    public int MaxCrashes { get; set; } = 3;

    /// <summary>How long jobs that succeeded or were called off are kept, with their results and histories.</summary>
    public TimeSpan Retention { get; set; } = TimeSpan.FromDays(30);

    /// <summary>How long failed jobs are kept, the dead letters among them.</summary>
    public TimeSpan FailedRetention { get; set; } = TimeSpan.FromDays(90);

    /// <summary>What is wrong, in messages that name the key.</summary>
    public IEnumerable<string> Problems()
    {
        if (Concurrency is < 1 or > 1000)
            yield return $"{Section}:{nameof(Concurrency)} must be between 1 and 1000.";
        if (MaxCrashes < 1)
            yield return $"{Section}:{nameof(MaxCrashes)} must be at least 1.";
        foreach (var (key, value) in new[]
        {
            (nameof(PollInterval), PollInterval), (nameof(PollIntervalWithoutHints), PollIntervalWithoutHints), (nameof(Lease), Lease),
            (nameof(Heartbeat), Heartbeat), (nameof(CancelInterval), CancelInterval),
            (nameof(AttemptTimeout), AttemptTimeout), (nameof(RescueInterval), RescueInterval),
            (nameof(ScheduleInterval), ScheduleInterval),
        })
        {
            if (value <= TimeSpan.Zero || value > TimeSpan.FromDays(1))
                yield return $"{Section}:{key} must be positive and at most a day.";
        }

        foreach (var (key, value) in new[] { (nameof(Retention), Retention), (nameof(FailedRetention), FailedRetention) })
        {
            if (value < TimeSpan.FromHours(1))
                yield return $"{Section}:{key} must be at least an hour.";
        }

        if (DrainTimeout < TimeSpan.Zero || DrainTimeout > TimeSpan.FromDays(1))
            yield return $"{Section}:{nameof(DrainTimeout)} must not be negative, and at most a day.";
        if (Lease < 3 * Heartbeat)
        {
            yield return $"{Section}:{nameof(Lease)} must be at least three times {Section}:{nameof(Heartbeat)}, "
                + "so that one lost renewal is not a lost worker.";
        }
    }
}
