using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Npgsql;

namespace ValueCanvas.Tests.Native;

public sealed class AppHostProcessTests : IDisposable
{
    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(30);

    private readonly string _data = Path.Combine(Path.GetTempPath(), $"valuecanvas-test-{Guid.NewGuid():N}");

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AppHost_KilledAndStartedAgain_LeavesNoProcessAndKeepsItsData()
    {
        using (var killed = new AppHostProcess(_data))
        {
            await killed.PrintsAsync("api: http://localhost:", StartPatience, Cancelled);
            await ExecuteAsync("CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)");

            // What is frozen cannot notice that its parent has died.
            foreach (var process in killed.Resources.Where((_, i) => i % 2 == 0))
                AppHostProcess.Signal(process, "STOP");
            AppHostProcess.Signal(killed.Id, "KILL");
            await killed.LeavesNothingAsync(EndPatience, Cancelled);
        }

        using var second = new AppHostProcess(_data);
        await second.PrintsAsync("api: http://localhost:", StartPatience, Cancelled);
        Assert.Equal(7, await ExecuteAsync("SELECT id FROM kept"));

        AppHostProcess.Signal(second.Id, "TERM");
        Assert.Equal(0, await second.ExitsAsync(EndPatience, Cancelled));
        await second.LeavesNothingAsync(EndPatience, Cancelled);
        Assert.True(StopOf(second, "api-1") < StopOf(second, "inference-0"), "api before inference");
        Assert.True(StopOf(second, "inference-1") < StopOf(second, "vllm-0"), "inference before vllm-0");
        Assert.True(StopOf(second, "api-0") < LineOf(second, "[postgres]", "received fast shutdown request"), "api before postgres");
    }

    [Fact]
    public async Task AppHost_OnATakenPort_SaysWhoWantsItAndHowToMoveIt()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = $"{((IPEndPoint)listener.LocalEndpoint).Port}";

        using var appHost = new AppHostProcess(_data, new Dictionary<string, string> { ["VALUECANVAS_PORT"] = port });

        Assert.Equal(1, await appHost.ExitsAsync(EndPatience, Cancelled));
        var error = Assert.Single(appHost.Output, line => line.StartsWith("ERROR: ", StringComparison.Ordinal));
        Assert.StartsWith($"ERROR: Port {port} is in use already, and 'api' (http) needs it.", error, StringComparison.Ordinal);
        Assert.Contains("VALUECANVAS_PORT", error, StringComparison.Ordinal);
        Assert.DoesNotContain(appHost.Output, line => line.Contains("   at ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task AppHost_WithoutRedisServer_NamesThePackageToInstall()
    {
        var programs = Directory.CreateDirectory(Path.Combine(_data, "bin")).FullName;
        foreach (var program in new[] { "sh", "cat", "grep", "readlink", "setsid", "setpriv", "install", "rm", "dotnet" })
        {
            if (Find(program) is { } path)
                File.CreateSymbolicLink(Path.Combine(programs, program), path);
        }

        using var appHost = new AppHostProcess(_data, new Dictionary<string, string> { ["PATH"] = programs });

        Assert.Equal(1, await appHost.ExitsAsync(StartPatience, Cancelled));
        var error = Assert.Single(appHost.Output, line => line.StartsWith("ERROR: ", StringComparison.Ordinal));
        Assert.Contains("'cache' needs redis-server", error, StringComparison.Ordinal);
        Assert.Contains("apt-get install redis-server", error, StringComparison.Ordinal);
        await appHost.LeavesNothingAsync(EndPatience, Cancelled);
    }

    public void Dispose()
    {
        if (Directory.Exists(_data))
            Directory.Delete(_data, recursive: true);
    }

    private static int StopOf(AppHostProcess appHost, string resource) => LineOf(appHost, $"[{resource}]", "Application is shutting down");

    private static int LineOf(AppHostProcess appHost, string label, string text)
    {
        var lines = appHost.Output.ToList();
        var line = lines.FindIndex(l => l.StartsWith(label, StringComparison.Ordinal) && l.Contains(text, StringComparison.Ordinal));
        Assert.True(line >= 0, $"{label} never said '{text}':\n{string.Join('\n', lines)}");
        return line;
    }

    private static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
        .Select(directory => Path.Combine(directory, program)).FirstOrDefault(File.Exists);

    // What the AppHost keeps in its data directory.
    private JsonNode Written(string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(_data, file)))!;

    // As superuser.
    private async Task<object?> ExecuteAsync(string sql)
    {
        var endpoint = new Uri(Written("endpoints.json")["postgres"]!["tcp"]!.GetValue<string>());
        var password = Written("parameters.json")["Parameters:postgres-password"]!.GetValue<string>();
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder
        {
            Host = endpoint.Host,
            Port = endpoint.Port,
            Username = "postgres",
            Password = password,
            Database = "valuecanvas",
            Pooling = false,
        }.ConnectionString);
        await connection.OpenAsync(Cancelled);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return await command.ExecuteScalarAsync(Cancelled);
    }
}
