namespace ValueCanvas.AppHost;

internal static class UsageExtensions
{
    private const string Directory = "/var/lib/valuecanvas/usage";

    /// <summary>
    /// Where rows of usage wait while PostgreSQL is away must outlive a container: a volume.
    /// On a developer's machine it is below the user's data.
    /// </summary>
    public static IResourceBuilder<ProjectResource> WithUsageDirectory(this IResourceBuilder<ProjectResource> project)
    {
        if (!project.ApplicationBuilder.ExecutionContext.IsPublishMode)
            return project;
        // There is no method for what a project's container mounts; publishers read the annotation.
        project.Resource.Annotations.Add(
            new ContainerMountAnnotation($"{project.Resource.Name}-usage", Directory, ContainerMountType.Volume, isReadOnly: false));
        return project.WithEnvironment("Usage__Directory", Directory);
    }
}
