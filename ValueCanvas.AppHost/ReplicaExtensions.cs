namespace ValueCanvas.AppHost;

internal static class ReplicaExtensions
{
    /// <summary>
    /// Several of it, which can be replaced one by one while they are used: one that is told to end goes on serving for a while, until
    /// whoever shares out the requests has seen it. A developer's orchestrator knows at once; a cluster takes seconds.
    /// </summary>
    public static IResourceBuilder<ProjectResource> WithRollingReplicas(
        this IResourceBuilder<ProjectResource> project, int replicas) => project
        .WithReplicas(replicas)
        .WithEnvironment("Shutdown__Drain", project.ApplicationBuilder.ExecutionContext.IsPublishMode ? "00:00:05" : "00:00:00.5");
}
