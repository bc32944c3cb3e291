using System.Net.Sockets;
using System.Runtime.InteropServices;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting.Orchestration;

/// <summary>Aspire's dashboard, which the Aspire CLI brings: receives the services' telemetry and shows it.</summary>
internal sealed class DashboardResource : Resource, IResourceWithEndpoints
{
    private static readonly string Cli =
        "node_modules/@microsoft/aspire-cli-linux-"
        + $"{(RuntimeInformation.OSArchitecture == Architecture.Arm64 ? "arm64" : "x64")}/bin/aspire";

    private readonly string _cli;

    private DashboardResource(string cli)
        : base("aspire-dashboard")
    {
        _cli = cli;
        foreach (var name in new[] { "http", "otlp-grpc", "otlp-http" })
            Annotations.Add(new EndpointAnnotation(ProtocolType.Tcp, "http", name: name));
        var front = this.GetEndpoint("http");
        Annotations.Add(new HealthProbeAnnotation(
            "GET /api/telemetry/resources", ct => HttpProbe.CheckAsync(new Uri(new Uri(front.Url), "/api/telemetry/resources"), 200, ct)));
    }

    public string OtlpUrl => this.GetEndpoint("otlp-grpc").Url;

    /// <summary>None when the CLI is not on this machine.</summary>
    /// <param name="configuration">Says where it shall listen: <c>ASPNETCORE_URLS</c>, <c>ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL</c>.</param>
    /// <param name="isTest">Then telemetry goes to any free port.</param>
    public static DashboardResource? Find(IConfiguration configuration, bool isTest)
    {
        var path = new[]
        {
            Environment.GetEnvironmentVariable("VALUECANVAS_ASPIRE_CLI"),
            Executables.Find("aspire"),
            Path.Combine(ToolsDirectory, Cli),
        }.FirstOrDefault(p => !string.IsNullOrEmpty(p) && Executables.IsExecutable(p));
        if (path is null)
            return null;

        var dashboard = new DashboardResource(path);
        if (PortIn(configuration["ASPNETCORE_URLS"]) is { } front)
            dashboard.GetEndpoint("http").EndpointAnnotation.Port = front;
        // Nobody types this one, so a neighbour that has it already is no obstacle.
        if (!isTest && PortIn(configuration["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"]) is { } otlp && PortAllocator.IsFree(otlp))
            dashboard.GetEndpoint("otlp-grpc").EndpointAnnotation.Port = otlp;

        return dashboard;
    }

    // As prepare.sh fills it.
    private static string ToolsDirectory
    {
        get
        {
            if (Environment.GetEnvironmentVariable("VALUECANVAS_TOOLS") is { Length: > 0 } tools)
                return tools;
            var data = Environment.GetEnvironmentVariable("XDG_DATA_HOME") is { Length: > 0 } xdg
                ? xdg
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "share");
            return Path.Combine(data, "valuecanvas", "tools");
        }
    }

    public ProcessCommand Command() => new()
    {
        FileName = _cli,
        Arguments =
        [
            "dashboard", "run", "--non-interactive", "--nologo", "--allow-anonymous",
            "--frontend-url", this.GetEndpoint("http").Url,
            "--otlp-grpc-url", OtlpUrl,
            "--otlp-http-url", this.GetEndpoint("otlp-http").Url,
        ],
        Environment = new Dictionary<string, string> { ["NO_COLOR"] = "1" },
        // What the AppHost's launch profile says about a dashboard is meant for Aspire's own orchestrator.
        WithoutVariables =
        [
            .. Environment.GetEnvironmentVariables().Keys.Cast<string>().Where(name =>
                name.StartsWith("ASPIRE_", StringComparison.Ordinal) || name.StartsWith("ASPNETCORE_", StringComparison.Ordinal)),
        ],
    };

    private static int? PortIn(string? urls) =>
        Uri.TryCreate(urls?.Split(';')[0], UriKind.Absolute, out var url) && url.Port > 0 ? url.Port : null;
}
