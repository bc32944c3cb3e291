using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.Hosting;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.Usage;
using ValueCanvas.Tests.Api;
using ValueCanvas.Tests.Chaos.Fleet;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Jobs;
using ValueCanvas.Tests.Core.Usage;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.InferenceProxy;
using ValueCanvas.Tests.VllmSimulator;
using ValueCanvas.Tests.Worker;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Tests.Chaos;

/// <summary>Jobs down to the model servers: two as processes behind the proxy.</summary>
[Trait("fault", "replica-killed")]
public sealed class ReplicaTests(ServersFixture servers) : IAsyncLifetime
{
    private const string InternalKey = "the-internal-key-of-tests";
    private const string LongAnswer = """{"prompt":"Tell me everything about tea, in every detail.","maxTokens":400}""";

    private readonly MigratedDatabase _database = new(servers);
    private readonly List<SimulatorProcess> _replicas = [];
    private ProxyHost _proxy = null!;
    private WorkerHost _worker = null!;


    public async ValueTask InitializeAsync()
    {
        var database = _database.InitializeAsync().AsTask();
        // Slow enough that there is a middle of a stream.
        _replicas.AddRange(await Task.WhenAll(
            Enumerable.Range(0, 2).Select(_ => SimulatorProcess.StartAsync(("StepBaseMilliseconds", "20")))));
        await database;
        _proxy = ProxyHost.Start(
            _replicas.Select(replica => replica.Address),
            ("Inference:DefaultModel", SimulatorServer.Model), ("Inference:InternalKey", InternalKey));
        _worker = await WorkerHost.StartAsync(
            _database,
            builder =>
            {
                builder.AddServiceDefaults();
                builder.AddInference();
                builder.Services.AddUsage();
                builder.Services.AddCanvases();
                builder.Services.AddJobHandlers();
            },
            settings:
            [
                ("services:inference:http:0", Proxy), ("LOG_LEVEL", "none"), ("Inference:InternalKey", InternalKey),
                ("Usage:Directory", UsageHost.NewDirectory()),
                ("Usage:Prices:0:Model", SimulatorServer.Model), ("Usage:Prices:0:Input", "10"), ("Usage:Prices:0:Output", "100"),
            ]);
    }

    private string Proxy => _proxy.Client.BaseAddress!.ToString().TrimEnd('/');

    public async ValueTask DisposeAsync()
    {
        await _worker.DisposeAsync();
        await _proxy.DisposeAsync();
        foreach (var replica in _replicas)
            await replica.DisposeAsync();
    }

    [Fact]
    public async Task Replica_KilledInTheMiddleOfStreams_EveryJobSucceedsAndPaysOnce()
    {
        List<Guid> jobs = [];
        for (var i = 0; i < 6; i++)
            jobs.Add((await _worker.EnqueueAsync(JobTypes.Chat, LongAnswer)).Id);
        await ProxyHost.UntilAsync(async () => await _replicas[0].RunningAsync() >= 2 && await _replicas[1].RunningAsync() >= 1);

        _replicas[0].Kill();

        foreach (var job in jobs)
            await _worker.UntilAsync(job, JobState.Succeeded);
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin, jobs));
        Assert.Empty(await JobHistoryChecker.SettledChargeViolationsAsync(_database.Admin, jobs));
    }

    /// <summary>From the answer to the cancel until the replica counts no running request, by its own counter.</summary>
    [Fact]
    public async Task Cancel_OfARunningJob_ReachesTheReplicaWithinASecond()
    {
        await using var api = new ApiHost(Proxy, _database.App, _database.Redis, ("RateLimiting:Enabled", "false"));
        await ProxyHost.UntilAsync(async () => (await api.GetAsync("/health/ready")).StatusCode == HttpStatusCode.OK);
        List<double> took = [];
        // The machine may be busy with other tests, and then one that is in time is enough; measured on its own, none is late.
        while (ChaosSize.Current.Measured ? took.Count < 20 : took.Count < 3 || (took.Min() > 1 && took.Count < 10))
        {
            var job = await _worker.EnqueueAsync(JobTypes.Chat, LongAnswer);
            await ProxyHost.UntilAsync(async () => await RunningAsync() > 0);

            var asked = Stopwatch.GetTimestamp();
            using var cancelled = await api.PostAsync($"/api/queue/jobs/{job.Id}/cancel", "{}");
            Assert.Equal(HttpStatusCode.OK, cancelled.StatusCode);
            await ProxyHost.UntilAsync(async () => await RunningAsync() == 0);
            took.Add(Stopwatch.GetElapsedTime(asked).TotalSeconds);
            await _worker.UntilAsync(job.Id, JobState.Cancelled);
        }

        TestContext.Current.SendDiagnosticMessage(
            "from the cancel to the replica: {0}", string.Join(", ", took.Order().Select(s => $"{s:0.00} s")));
        Assert.True((ChaosSize.Current.Measured ? took.Max() : took.Min()) <= 1, $"It took {string.Join(", ", took)} s.");
        // What was written until then is paid: the tenant called it off.
        await ProxyHost.UntilAsync(() => _database.ScalarAsync<bool>(
            $"SELECT count(*) = {took.Count} AND min(cost) > 0 FROM llm_usage WHERE status = 'cancelled'"));
    }

    private async Task<double> RunningAsync() => await _replicas[0].RunningAsync() + await _replicas[1].RunningAsync();
}
