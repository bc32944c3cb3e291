using Npgsql;
using ValueCanvas.ProxyBench;
using ValueCanvas.ProxyBench.Processes;
using ProxyServers = ValueCanvas.ProxyBench.Processes.Servers;

namespace ValueCanvas.GatewayBench.Servers;

/// <summary>
/// The gateway as the AppHost runs it: migrated database, proxy, and instances of the Api before it; Release builds, telemetry sent to a
/// server that takes it for good, a limit on requests and one on tokens that every request is counted by and none reaches.
/// </summary>
internal sealed class GatewayServers(Settings settings, ProxyServers servers, DataServers data, int? telemetry)
{
    public const string Key = "bench-key-0123456789abcdef";

    public const string InternalKey = "internal-key-of-the-bench-0123";
    private const string AppPassword = "app-password";

    /// <summary>PostgreSQL as Api and Worker connect to it.</summary>
    public string App { get; } = new NpgsqlConnectionStringBuilder(data.Admin)
    {
        Username = "valuecanvas_app", Password = AppPassword, Pooling = true,
    }.ConnectionString;

    public async Task MigrateAsync(CancellationToken cancellationToken) => _ = await Shell.RunAsync(
        "env",
        [
            $"ConnectionStrings__valuecanvas={data.Admin}",
            $"Database__AppPassword={AppPassword}", "Database__OperatorPassword=operator-password",
            "LOG_LEVEL=Warning", settings.Binary("ValueCanvas.Worker"), "migrate",
        ],
        cancellationToken) ?? throw new InvalidOperationException("The database could not be migrated.");

    public Task<Target> ProxyAsync(string name, IReadOnlyList<string> upstreams, CancellationToken cancellationToken) => servers.ProxyAsync(
        name, upstreams, telemetry, new() { ["Inference__InternalKey"] = InternalKey, ["LOG_LEVEL"] = "Warning" }, cancellationToken);

    /// <summary>An instance of the Api before that proxy.</summary>
    public async Task<Target> ApiAsync(
        string name, Target proxy, CancellationToken cancellationToken, params (string Key, string Value)[] more)
    {
        var port = ProxyServers.FreePort();
        var environment = new Dictionary<string, string>
        {
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
            ["ConnectionStrings__valuecanvas"] = App,
            ["ConnectionStrings__cache"] = data.Redis,
            ["services__inference__http__0"] = $"http://127.0.0.1:{proxy.Port}",
            ["Inference__InternalKey"] = InternalKey,
            ["Accounts__SecretKey"] = "a-secret-of-the-bench-that-is-long-enough",
            ["VALUECANVAS_BOOTSTRAP_EMAIL"] = "operator@bench.example",
            ["VALUECANVAS_BOOTSTRAP_PASSWORD"] = "correct horse battery staple",
            ["VALUECANVAS_BOOTSTRAP_API_KEY"] = Key,
            ["RateLimiting__Policies__requests__Limit"] = "1000000000",
            ["RateLimiting__Policies__requests__Routes__0"] = "/v1",
            ["RateLimiting__Policies__requests__Routes__1"] = "/api/llm",
            ["RateLimiting__Policies__tokens__Limit"] = "1000000000000",
            ["RateLimiting__Policies__tokens__Unit"] = "tokens",
            ["RateLimiting__Policies__tokens__Routes__0"] = "/v1",
            ["RateLimiting__Policies__tokens__Routes__1"] = "/api/llm",
            ["Usage__Directory"] = Path.Combine(settings.WorkDirectory, "usage"),
            ["LOG_LEVEL"] = "Warning",
        };
        if (telemetry is { } sink)
        {
            environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = $"http://127.0.0.1:{sink}";
            environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf";
            environment["OTEL_SERVICE_NAME"] = "api";
        }

        foreach (var (key, value) in more)
            environment[key] = value;

        var process = servers.Start(name, settings.Binary("ValueCanvas.Api"), [], environment);
        await servers.ReadyAsync(process, port, "/ready", cancellationToken);
        return new Target(name, port, process, [("Authorization", $"Bearer {Key}")]);
    }
}
