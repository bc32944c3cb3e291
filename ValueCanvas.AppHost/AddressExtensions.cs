using System.Globalization;

namespace ValueCanvas.AppHost;

/// <summary>The two addresses that people type: fixed by the launch profiles, each moved by a variable.</summary>
internal static class AddressExtensions
{
    // In the order of their ports: the page itself, where telemetry goes, and where the dashboard asks about resources.
    private static readonly string[] DashboardUrls =
        ["ASPNETCORE_URLS", "ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL", "ASPIRE_RESOURCE_SERVICE_ENDPOINT_URL"];

    /// <summary>Puts the dashboard on the port that the variable names, if it is set, and what belongs to it on the two ports
    /// behind.</summary>
    public static void MoveDashboard(this IDistributedApplicationBuilder builder, string portVariable)
    {
        if (builder.ConfiguredPort(portVariable) is not { } port)
            return;
        for (var i = 0; i < DashboardUrls.Length; i++)
            builder.Configuration[DashboardUrls[i]] = $"http://localhost:{port + i}";
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
