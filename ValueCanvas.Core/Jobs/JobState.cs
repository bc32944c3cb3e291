namespace ValueCanvas.Core.Jobs;

/// <summary>Where a job is; <c>docs/job-states.md</c> draws the transitions. The last three are final.</summary>
public enum JobState
{
    /// <summary>Accepted and waiting for a worker, from its <see cref="Job.RunAt"/> on.</summary>
    Queued,

    /// <summary>Its children have not ended.</summary>
    Blocked,

    /// <summary>A worker holds a lease on it.</summary>
    Running,

    /// <summary>An attempt failed or lost its worker; waiting for the next from <see cref="Job.RunAt"/> on.</summary>
    Retryable,

    /// <summary>Its result is stored.</summary>
    Succeeded,

    /// <summary>It cannot succeed, or its attempts are used up.</summary>
    Failed,

    /// <summary>It was called off.</summary>
    Cancelled,
}

/// <summary>The states' names in the database and on the wire.</summary>
public static class JobStates
{
    private static readonly Dictionary<string, JobState> ByName = Enum.GetValues<JobState>().ToDictionary(ToName);

    /// <summary>Every name, in the order of <see cref="JobState"/>.</summary>
    public static IReadOnlyCollection<string> Names => ByName.Keys;

    public static string ToName(this JobState state) => state switch
    {
        JobState.Queued => "queued",
        JobState.Blocked => "blocked",
        JobState.Running => "running",
        JobState.Retryable => "retryable",
        JobState.Succeeded => "succeeded",
        JobState.Failed => "failed",
        JobState.Cancelled => "cancelled",
        _ => throw new ArgumentOutOfRangeException(nameof(state), state, null),
    };

    public static bool IsFinal(this JobState state) => state is JobState.Succeeded or JobState.Failed or JobState.Cancelled;

    public static bool TryParse(string name, out JobState state) => ByName.TryGetValue(name, out state);

    internal static JobState Parse(string name) => ByName[name];
}
