namespace ValueCanvas.InferenceProxy.Admission;

/// <summary>Configuration section <c>Inference:Admission</c>: how much may run and wait. Read again when configuration reloads.</summary>
internal sealed class AdmissionOptions
{
    /// <summary>Requests that this proxy sends to one replica at the same time. Further ones wait here, where they can be put in
    /// order.</summary>
    public int MaxRunningPerReplica { get; set; } = 1024;

    /// <summary>Requests that wait at the same time, all models together; further ones are refused.</summary>
    public int MaxWaiting { get; set; } = 2048;

    /// <summary>A request that has waited so long is refused.</summary>
    public TimeSpan MaxWait { get; set; } = TimeSpan.FromSeconds(30);

    public void Validate(List<string> wrong)
    {
        if (MaxRunningPerReplica is < 1 or > 1_000_000)
            wrong.Add("Inference:Admission:MaxRunningPerReplica must be from 1 to 1000000.");

        if (MaxWaiting is < 0 or > 1_000_000)
            wrong.Add("Inference:Admission:MaxWaiting must be from 0 (nobody waits) to 1000000.");

        if (MaxWait <= TimeSpan.Zero || MaxWait > TimeSpan.FromHours(1))
            wrong.Add("Inference:Admission:MaxWait must be positive and at most 01:00:00.");
    }
}
