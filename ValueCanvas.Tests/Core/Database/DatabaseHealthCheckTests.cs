using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using ValueCanvas.Tests.InferenceProxy;

namespace ValueCanvas.Tests.Core.Database;

public sealed class DatabaseHealthCheckTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    [Fact]
    public Task Check_ServerAnswers_IsHealthy() =>
        ProxyHost.UntilAsync(async () => (await CheckAsync(database.App)).Status == HealthStatus.Healthy);

    [Fact]
    public async Task Check_NothingListens_IsUnhealthy() =>
        Assert.Equal(HealthStatus.Unhealthy, (await CheckAsync("Host=127.0.0.1;Port=1;Username=x;Password=x;Database=x")).Status);

    [Fact]
    public async Task Check_ServerAcceptsAndSaysNothing_IsUnhealthyWithinItsBound()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var port = ((IPEndPoint)silent.LocalEndpoint).Port;

        var startedAt = Stopwatch.GetTimestamp();
        var entry = await CheckAsync($"Host=127.0.0.1;Port={port};Username=x;Password=x;Database=x");

        Assert.Equal(HealthStatus.Unhealthy, entry.Status);
        Assert.Equal("PostgreSQL does not answer.", entry.Description);
        // Unbounded, it would wait for the connection, and that thrice and more.
        Assert.InRange(Stopwatch.GetElapsedTime(startedAt), TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(4));
    }

    private async Task<HealthReportEntry> CheckAsync(string connectionString)
    {
        using var host = database.Services(connectionString);
        var report = await host.Services.GetRequiredService<HealthCheckService>()
            .CheckHealthAsync(registration => registration.Name == "database", TestContext.Current.CancellationToken);
        return report.Entries["database"];
    }
}
