using System.Net.Sockets;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Launch;

namespace Aspire.Hosting;

public static class ProjectResourceBuilderExtensions
{
    public static IResourceBuilder<ProjectResource> AddProject<TProject>(this IDistributedApplicationBuilder builder, string name)
        where TProject : IProjectMetadata, new() => builder.AddProject<TProject>(name, _ => { });

    public static IResourceBuilder<ProjectResource> AddProject<TProject>(
        this IDistributedApplicationBuilder builder, string name, string? launchProfileName)
        where TProject : IProjectMetadata, new() => builder.AddProject<TProject>(name, options =>
        {
            options.ExcludeLaunchProfile = launchProfileName is null;
            options.LaunchProfileName = launchProfileName;
        });

    public static IResourceBuilder<ProjectResource> AddProject<TProject>(
        this IDistributedApplicationBuilder builder, string name, Action<ProjectResourceOptions> configure)
        where TProject : IProjectMetadata, new() => builder.AddProject(name, new TProject(), configure);

    public static IResourceBuilder<ProjectResource> AddProject(
        this IDistributedApplicationBuilder builder, string name, string projectPath) =>
        builder.AddProject(name, projectPath, _ => { });

    public static IResourceBuilder<ProjectResource> AddProject(
        this IDistributedApplicationBuilder builder, string name, string projectPath, string? launchProfileName) =>
        builder.AddProject(name, projectPath, options =>
        {
            options.ExcludeLaunchProfile = launchProfileName is null;
            options.LaunchProfileName = launchProfileName;
        });

    public static IResourceBuilder<ProjectResource> AddProject(
        this IDistributedApplicationBuilder builder, string name, string projectPath, Action<ProjectResourceOptions> configure) =>
        builder.AddProject(name, new ProjectMetadata(Path.GetFullPath(projectPath, builder.AppHostDirectory)), configure);

    public static IResourceBuilder<ProjectResource> WithReplicas(this IResourceBuilder<ProjectResource> builder, int replicas)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        return builder.WithAnnotation(new ReplicaAnnotation(replicas), ResourceAnnotationMutationBehavior.Replace);
    }

    private static IResourceBuilder<ProjectResource> AddProject(
        this IDistributedApplicationBuilder builder, string name, IProjectMetadata metadata, Action<ProjectResourceOptions> configure)
    {
        var options = new ProjectResourceOptions();
        configure(options);

        var project = builder.AddResource(new ProjectResource(name)).WithAnnotation(metadata);
        project.WithEnvironment("OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY", "in_memory");
        if (builder.ExecutionContext.IsPublishMode)
        {
            project.WithEnvironment(context =>
            {
                if (project.Resource.GetEndpoints().Any())
                    context.EnvironmentVariables["ASPNETCORE_FORWARDEDHEADERS_ENABLED"] = "true";
            });
        }

        var found = options.ExcludeLaunchProfile ? null : LaunchProfile.Read(metadata.ProjectPath, options.LaunchProfileName);
        if (found is { } launch)
            project.WithAnnotation(new EffectiveLaunchProfileAnnotation(launch.Name, launch.Profile));

        if (builder.ExecutionContext.IsRunMode)
            project.ForRun(found?.Profile);
        else
            project.ForPublish(isWeb: found?.Profile.ApplicationUrl is not null);

        return project;
    }

    private static void ForRun(this IResourceBuilder<ProjectResource> project, LaunchProfile? profile)
    {
        var ofScheme = new Dictionary<string, int>();
        foreach (var url in profile?.ApplicationUrl?.Split(';', StringSplitOptions.RemoveEmptyEntries) ?? [])
        {
            var uri = new Uri(url);
            var number = ofScheme[uri.Scheme] = ofScheme.GetValueOrDefault(uri.Scheme) + 1;
            project.WithAnnotation(new EndpointAnnotation(
                ProtocolType.Tcp, uri.Scheme, name: number == 1 ? uri.Scheme : uri.Scheme + number, port: uri.Port));
        }

        project.WithEnvironment(context =>
        {
            foreach (var (key, value) in profile?.EnvironmentVariables ?? new Dictionary<string, string>())
                context.EnvironmentVariables.TryAdd(key, Environment.ExpandEnvironmentVariables(value));
        });
    }

    // In production there are always both: TLS ends in front of the service or in it.
    private static void ForPublish(this IResourceBuilder<ProjectResource> project, bool isWeb)
    {
        EndpointAnnotation? defaultHttps = null;
        project.WithEnvironment(context =>
        {
            foreach (var (variable, scheme) in new[] { ("HTTP_PORTS", "http"), ("HTTPS_PORTS", "https") })
            {
                object[] ports =
                [
                    .. project.Resource.Annotations.OfType<EndpointAnnotation>()
                        .Where(e => e.UriScheme == scheme && e != defaultHttps)
                        .Select(e => new EndpointReference(project.Resource, e).Property(EndpointProperty.TargetPort)),
                ];
                if (ports.Length > 0)
                    context.EnvironmentVariables[variable] = Joined(ports);
            }
        });
        if (!isWeb)
            return;

        project.WithAnnotation(new EndpointAnnotation(ProtocolType.Tcp, "http"));
        defaultHttps = new EndpointAnnotation(ProtocolType.Tcp, "https");
        project.WithAnnotation(defaultHttps);
    }

    private static ReferenceExpression Joined(IEnumerable<object> ports)
    {
        var builder = new ReferenceExpressionBuilder();
        foreach (var port in ports.Cast<EndpointReferenceExpression>())
        {
            if (!builder.IsEmpty)
                builder.AppendLiteral(";");
            builder.AppendFormatted(port);
        }

        return builder.Build();
    }

    private sealed class ProjectMetadata(string path) : IProjectMetadata
    {
        public string ProjectPath => path;
    }
}

public class ProjectResourceOptions
{
    public string? LaunchProfileName { get; set; }

    public bool ExcludeLaunchProfile { get; set; }
}
