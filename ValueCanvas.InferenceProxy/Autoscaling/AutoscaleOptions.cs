namespace ValueCanvas.InferenceProxy.Autoscaling;

/// <summary>Configuration section <c>Inference:Autoscale</c>: how many replicas are wanted for which load. Read again when configuration
/// reloads.</summary>
internal sealed class AutoscaleOptions
{
    public int MinReplicas { get; set; } = 2;

    public int MaxReplicas { get; set; } = 8;

    /// <summary>Requests, running and waiting, for which one replica is wanted.</summary>
    public int RequestsPerReplica { get; set; } = 64;

    /// <summary>The use of the KV caches (0 to 1) that is aimed at.</summary>
    public double TargetKvCacheUsage { get; set; } = 0.7;

    /// <summary>So long has fewer replicas to be enough until fewer are wanted. More are wanted at once.</summary>
    public TimeSpan ScaleDownAfter { get; set; } = TimeSpan.FromMinutes(5);

    public void Validate(List<string> wrong)
    {
        if (MinReplicas < 1 || MaxReplicas < MinReplicas || MaxReplicas > 10_000)
            wrong.Add("Inference:Autoscale:MinReplicas must be at least 1 and at most Inference:Autoscale:MaxReplicas (10000 at most).");

        if (RequestsPerReplica is < 1 or > 1_000_000)
            wrong.Add("Inference:Autoscale:RequestsPerReplica must be from 1 to 1000000.");

        if (TargetKvCacheUsage is not (> 0 and <= 1))
            wrong.Add("Inference:Autoscale:TargetKvCacheUsage must be above 0 and at most 1.");

        if (ScaleDownAfter < TimeSpan.Zero || ScaleDownAfter > TimeSpan.FromDays(1))
            wrong.Add("Inference:Autoscale:ScaleDownAfter must be from 00:00:00 to 1.00:00:00.");
    }
}
