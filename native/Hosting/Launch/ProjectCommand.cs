using System.Globalization;
using System.Runtime.InteropServices;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Orchestration;

namespace Aspire.Hosting.Launch;

/// <summary>A project as a process: the built assembly under <c>dotnet</c>, in the project's directory.</summary>
internal static class ProjectCommand
{
    // What `dotnet run` sets for the AppHost is not meant for the services.
    private static readonly string[] NotInherited =
        ["ASPNETCORE_URLS", "DOTNET_URLS", "URLS", "HTTP_PORTS", "HTTPS_PORTS", "DOTNET_LAUNCH_PROFILE"];

    /// <param name="project">The project resource.</param>
    /// <param name="environment">What the resource's callbacks gave, resolved.</param>
    /// <param name="arguments">Its command line, resolved.</param>
    /// <param name="ports">This replica's port by endpoint name.</param>
    /// <param name="replicaId">Tells replicas apart in telemetry.</param>
    public static ProcessCommand Create(
        ProjectResource project, IReadOnlyDictionary<string, string> environment, IReadOnlyList<string> arguments,
        IReadOnlyDictionary<string, int> ports, string replicaId)
    {
        var path = project.Annotations.OfType<IProjectMetadata>().Last().ProjectPath;
        var urls = project.Annotations.OfType<EndpointAnnotation>()
            .Where(e => e.UriScheme is "http" or "https")
            .Select(e => string.Create(CultureInfo.InvariantCulture, $"{e.UriScheme}://{e.TargetHost}:{ports[e.Name]}"));
        var variables = new Dictionary<string, string>(environment)
        {
            ["OTEL_SERVICE_NAME"] = project.Name,
            ["OTEL_RESOURCE_ATTRIBUTES"] = $"service.instance.id={replicaId}",
        };
        var listen = string.Join(';', urls);
        if (listen.Length > 0)
            variables["ASPNETCORE_URLS"] = listen;

        return new ProcessCommand
        {
            FileName = DotnetHost,
            Arguments = [Assembly(project.Name, path), .. arguments],
            WorkingDirectory = Path.GetDirectoryName(path)!,
            Environment = variables,
            WithoutVariables = NotInherited,
        };
    }

    // The runtime lies in DOTNET/shared/Microsoft.NETCore.App/VERSION.
    private static string DotnetHost
    {
        get
        {
            var host = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));
            return File.Exists(host) ? host : "dotnet";
        }
    }

    // Beside this AppHost's (or test's) own output, artifacts/bin/PROJECT/CONFIGURATION; or in the project's own bin.
    private static string Assembly(string resource, string projectPath)
    {
        var name = Path.GetFileNameWithoutExtension(projectPath);
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var projectBin = Path.Combine(Path.GetDirectoryName(projectPath)!, "bin");
        string?[] candidates =
        [
            here.Parent?.Parent is { } all ? Path.Combine(all.FullName, name, here.Name, $"{name}.dll") : null,
            .. Directory.Exists(projectBin)
                ? Directory.EnumerateFiles(projectBin, $"{name}.runtimeconfig.json", SearchOption.AllDirectories)
                    .OrderByDescending(File.GetLastWriteTimeUtc)
                    .Select(f => Path.Combine(Path.GetDirectoryName(f)!, $"{name}.dll"))
                : [],
        ];
        return candidates.FirstOrDefault(File.Exists) ?? throw new DistributedApplicationException(
            $"Resource '{resource}' has not been built: dotnet build {projectPath}");
    }
}
