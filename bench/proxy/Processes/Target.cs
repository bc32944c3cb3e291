namespace ValueCanvas.ProxyBench.Processes;

/// <summary>What stands between the load and the upstream; <see cref="Process"/> is null for nothing at all.</summary>
internal sealed record Target(string Name, int Port, ServerProcess? Process, IReadOnlyList<(string Name, string Value)> Headers)
{
    public const string Direct = "direct";
    public const string Nginx = "nginx";
    public const string Haproxy = "haproxy";
    public const string Portkey = "portkey";

    /// <summary>Kestrel and SocketsHttpHandler with nothing in between.</summary>
    public const string Bare = "bare";

    /// <summary>This project's proxy as it runs under the AppHost: telemetry is collected and sent.</summary>
    public const string Ours = "valuecanvas";

    /// <summary>The same without a telemetry endpoint: nothing is collected.</summary>
    public const string OursQuiet = "valuecanvas-no-otlp";

    public const string Path = "/v1/chat/completions";

    /// <summary>Where requests go.</summary>
    public string Route { get; init; } = Path;
}
