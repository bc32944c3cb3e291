using System.Diagnostics;
using System.Net;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;

namespace ValueCanvas.Tests.Native;

/// <summary>Order, waiting, ends and restarts, seen on simulators, which start fast and need nothing.</summary>
public sealed class SupervisionTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task WaitFor_AHealthCheck_StartsAfterItPasses()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var first = builder.AddProject<Projects.ValueCanvas_VllmSimulator>("first").WithHttpEndpoint().WithHttpHealthCheck("/health");
        builder.AddProject<Projects.ValueCanvas_VllmSimulator>("second").WithHttpEndpoint().WaitFor(first);
        await using var app = await builder.BuildAsync(Cancelled);

        var starting = app.ResourceNotifications.WaitForResourceAsync("second", e =>
        {
            if (e.Snapshot.State?.Text != KnownResourceStates.Starting)
                return false;

            Assert.True(app.ResourceNotifications.TryGetCurrentState("first", out var state));
            Assert.Equal(Microsoft.Extensions.Diagnostics.HealthChecks.HealthStatus.Healthy, state.Snapshot.HealthStatus);
            return true;
        }, Cancelled);
        await app.StartAsync(Cancelled).WaitAsync(Patience, TimeProvider.System, Cancelled);

        await starting.WaitAsync(Patience, TimeProvider.System, Cancelled);
        await app.ResourceNotifications.WaitForResourceAsync("second", KnownResourceStates.Running, Cancelled)
            .WaitAsync(Patience, TimeProvider.System, Cancelled);
    }

    [Fact]
    public async Task WaitForCompletion_OfAProjectThatFails_FailsTheStartAndSaysWhy()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        // No connection string: the migrator cannot do its work.
        var migrations = builder.AddProject<Projects.ValueCanvas_Worker>("migrations").WithArgs("migrate");
        builder.AddProject<Projects.ValueCanvas_VllmSimulator>("after").WithHttpEndpoint().WaitForCompletion(migrations);
        await using var app = await builder.BuildAsync(Cancelled);

        var error = await Assert.ThrowsAsync<DistributedApplicationException>(
            () => app.StartAsync(Cancelled).WaitAsync(Patience, TimeProvider.System, Cancelled));

        Assert.StartsWith(
            "'after' is not started: 'migrations' should have completed with exit code 0",
            error.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Container_InNativeMode_FailsTheStartWithOneClearMessage()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddContainer("vllm-0", "vllm/vllm-openai", "v0.12.0");
        await using var app = await builder.BuildAsync(Cancelled);

        var error = await Assert.ThrowsAsync<DistributedApplicationException>(
            () => app.StartAsync(Cancelled).WaitAsync(Patience, TimeProvider.System, Cancelled));

        Assert.Contains("'vllm-0' is a container (vllm/vllm-openai)", error.Message, StringComparison.Ordinal);
        Assert.Contains("AspirePackages=official", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Project_ThatIsKilled_StaysDownUntilItIsStartedAgainAtTheSameAddress()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var name = $"sim-{Guid.NewGuid():N}"[..12];
        builder.AddProject<Projects.ValueCanvas_VllmSimulator>(name).WithHttpEndpoint().WithHttpHealthCheck("/health");
        await using var app = await builder.BuildAsync(Cancelled);
        await app.StartAsync(Cancelled).WaitAsync(Patience, TimeProvider.System, Cancelled);
        await HealthyAsync(app, name);
        using var client = app.CreateHttpClient(name);

        using (var process = Process.GetProcessById(ProcessTable.WithVariable($"OTEL_SERVICE_NAME={name}").Single()))
            process.Kill();
        var ended = await app.ResourceNotifications.WaitForResourceAsync(name, e => e.Snapshot.ExitCode is not null, Cancelled)
            .WaitAsync(Patience, TimeProvider.System, Cancelled);

        Assert.Equal(137, ended.Snapshot.ExitCode);
        Assert.Contains(ended.Snapshot.State!.Text, KnownResourceStates.TerminalStates);
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetAsync("/health", Cancelled));

        Assert.True((await app.ResourceCommands.ExecuteCommandAsync(name, KnownResourceCommands.StartCommand, Cancelled)).Success);
        await HealthyAsync(app, name);
        using var answer = await client.GetAsync("/health", Cancelled);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Replicas_OfAProject_AreProcessesOfTheirOwnAndAllEndWithTheApplication()
    {
        var builder = DistributedApplicationTestingBuilder.Create();
        var name = $"sim-{Guid.NewGuid():N}"[..12];
        builder.AddProject<Projects.ValueCanvas_VllmSimulator>(name).WithHttpEndpoint().WithReplicas(2).WithHttpHealthCheck("/health");
        var app = await builder.BuildAsync(Cancelled);
        await app.StartAsync(Cancelled).WaitAsync(Patience, TimeProvider.System, Cancelled);
        await HealthyAsync(app, name);

        var replicas = ProcessTable.WithVariable($"OTEL_SERVICE_NAME={name}");
        var instances = replicas.Select(id => ProcessTable.Variable(id, "OTEL_RESOURCE_ATTRIBUTES")).Distinct().ToArray();
        var addresses = replicas.Select(id => ProcessTable.Variable(id, "ASPNETCORE_URLS")).Distinct().ToArray();
        await app.DisposeAsync();

        Assert.Equal(2, replicas.Count);
        Assert.Equal(2, instances.Length);
        Assert.Equal(2, addresses.Length);
        Assert.Empty(ProcessTable.WithVariable($"OTEL_SERVICE_NAME={name}"));
    }

    [Fact]
    public async Task Replicas_BehindOneAddress_ShareItsConnections_AndOneThatIsStoppedOrKilledIsLeftOut()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var name = $"sim-{Guid.NewGuid():N}"[..12];
        builder.AddProject<Projects.ValueCanvas_VllmSimulator>(name).WithHttpEndpoint().WithReplicas(2).WithHttpHealthCheck("/health");
        await using var app = await builder.BuildAsync(Cancelled);
        await app.StartAsync(Cancelled).WaitAsync(Patience, TimeProvider.System, Cancelled);
        await HealthyAsync(app, name);
        var front = app.GetEndpoint(name, "http");
        var own = ProcessTable.WithVariable($"OTEL_SERVICE_NAME={name}")
            .Select(id => new Uri(ProcessTable.Variable(id, "ASPNETCORE_URLS")!["ASPNETCORE_URLS=".Length..])).ToArray();
        Assert.DoesNotContain(own, address => address.Port == front.Port);

        for (var i = 0; i < 6; i++)
            await AskAsync(front);
        foreach (var address in own)
            Assert.InRange(await AskedAsync(address), 1, 5);

        Assert.True((await app.ResourceCommands.ExecuteCommandAsync($"{name}-0", KnownResourceCommands.StopCommand, Cancelled)).Success);
        for (var i = 0; i < 6; i++)
            await AskAsync(front);

        Assert.True((await app.ResourceCommands.ExecuteCommandAsync($"{name}-0", KnownResourceCommands.StartCommand, Cancelled)).Success);
        await HealthyAsync(app, name);
        using (var process = Process.GetProcessById(ProcessTable.WithVariable($"OTEL_SERVICE_NAME={name}")[0]))
            process.Kill();
        for (var i = 0; i < 6; i++)
            await AskAsync(front);
    }

    private static async Task AskAsync(Uri address)
    {
        using var client = new HttpClient { BaseAddress = address, Timeout = Patience };
        using var answer = await client.PostAsync(
            "/v1/chat/completions",
            new StringContent(
                """{"max_tokens":1,"messages":[{"role":"user","content":"Hi"}]}""", System.Text.Encoding.UTF8, "application/json"),
            Cancelled);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    private static async Task<int> AskedAsync(Uri address)
    {
        using var client = new HttpClient { BaseAddress = address, Timeout = Patience };
        var metrics = await client.GetStringAsync("/metrics", Cancelled);
        var line = metrics.Split('\n').Single(l => l.StartsWith("vllm:generation_tokens_total", StringComparison.Ordinal));
        return (int)double.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task Command_ForAnUnknownResource_FailsAndSaysSo()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        await using var app = await builder.BuildAsync(Cancelled);
        await app.StartAsync(Cancelled);

        var result = await app.ResourceCommands.ExecuteCommandAsync("nobody", KnownResourceCommands.StopCommand, Cancelled);

        Assert.False(result.Success);
        Assert.Contains("'nobody'", result.Message, StringComparison.Ordinal);
    }

    private static Task<ResourceEvent> HealthyAsync(DistributedApplication app, string name) =>
        app.ResourceNotifications.WaitForResourceHealthyAsync(name, Cancelled).WaitAsync(Patience, TimeProvider.System, Cancelled);
}
