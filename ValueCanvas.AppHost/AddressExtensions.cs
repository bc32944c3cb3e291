using System.Globalization;

namespace ValueCanvas.AppHost;

/// <summary>The two addresses that people type: fixed by the launch profiles, each moved by a variable.</summary>
internal static class AddressExtensions
{
    private const string DashboardUrls = "ASPNETCORE_URLS";

    /// <summary>Puts the dashboard on the port that the variable names, if it is set.</summary>
    public static void MoveDashboard(this IDistributedApplicationBuilder builder, string portVariable)
    {
        if (builder.ConfiguredPort(portVariable) is { } port)
            builder.Configuration[DashboardUrls] = $"http://localhost:{port}";
    }

    /// <summary>Puts the project's http endpoint on the port that the variable names, if it is set.</summary>
    public static IResourceBuilder<ProjectResource> MoveHttpEndpoint(this IResourceBuilder<ProjectResource> project, string portVariable)
    {
        var builder = project.ApplicationBuilder;
        // A published port belongs to the deployment, not to whoever generated the manifest.
        return builder.ExecutionContext.IsRunMode && builder.ConfiguredPort(portVariable) is { } port
            ? project.WithEndpoint("http", endpoint => endpoint.Port = port)
            : project;
    }

    private static int? ConfiguredPort(this IDistributedApplicationBuilder builder, string variable)
    {
        var text = builder.Configuration[variable];
        if (string.IsNullOrEmpty(text))
            return null;
        if (int.TryParse(text, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536)
            return port;
        throw new DistributedApplicationException($"{variable} is '{text}'; it must be a port number between 1 and 65535.");
    }
}
