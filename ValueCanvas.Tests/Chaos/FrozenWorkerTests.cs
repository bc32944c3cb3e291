using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Core.Jobs;
using ValueCanvas.Tests.Core.Usage;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.Worker;

namespace ValueCanvas.Tests.Chaos;

/// <summary>A worker process that wakes up after another has done its job.</summary>
[Trait("fault", "worker-frozen")]
public sealed class FrozenWorkerTests(ServersFixture servers) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    // One that is to be lost soon; with such a lease a busy machine is a lost worker, so the other one has the usual.
    private static readonly (string, string)[] SoonLost =
        [("Worker:Lease", "00:00:01.5"), ("Worker:Heartbeat", "00:00:00.4"), ("Worker:MaxCrashes", "50")];

    private static readonly (string, string)[] Quick =
    [
        ("Worker:RescueInterval", "00:00:00.4"),
        ("Worker:PollInterval", "00:00:00.3"), ("Worker:Concurrency", "4"),
        ("Usage:Prices:0:Model", "*"), ("Usage:Prices:0:Input", "10"), ("Usage:Prices:0:Output", "100"),
    ];

    private readonly MigratedDatabase _database = new(servers);
    private readonly TaskCompletionSource<bool> _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _books = UsageHost.NewDirectory();
    private FakeInference _inference = null!;
    private IHost _host = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        _inference = await FakeInference.StartAsync();
        _host = _database.Services();
    }

    public async ValueTask DisposeAsync()
    {
        _release.TrySetResult(true);
        _host.Dispose();
        await _inference.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Worker_FrozenUntilAnotherHasDoneItsJob_CannotStoreWhatItMade()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var calls = 0;
        _inference.Answer = async context =>
        {
            var call = Interlocked.Increment(ref calls);
            if (call == 1)
            {
                asked.SetResult();
                await _release.Task.WaitAsync(Patience, Cancel);
            }

            await FakeInference.Stream(context, $"by call {call}");
        };
        var job = await EnqueueAsync();
        await using var frozen = Start(SoonLost);
        await asked.Task.WaitAsync(Patience, Cancel);
        await frozen.FreezeAsync();
        await using var other = Start();
        await UntilAsync("SELECT count(*) = 1 FROM llm_jobs WHERE state = 'succeeded'");
        var result = await _database.ScalarAsync<string>("SELECT result->>'response' FROM llm_job_results");
        // Its row comes a little later than its success: not from one that is killed before.
        await UntilAsync($"SELECT count(*) = 1 FROM llm_usage WHERE job_id = '{job}'");

        _release.SetResult(true);
        await frozen.ThawAsync();
        // It works again: it takes another job and does it.
        await other.KillAsync();
        var next = await EnqueueAsync();
        await UntilAsync($"SELECT count(*) = 1 FROM llm_jobs WHERE state = 'succeeded' AND id = '{next}'");

        Assert.Equal("by call 2", result);
        Assert.Equal(
            "by call 2",
            await _database.ScalarAsync<string>($"SELECT result->>'response' FROM llm_job_results WHERE job_id = '{job}'"));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin, job, next));
        // It had its answer as well, and that is in the books; but the tenant pays one.
        await UntilAsync($"SELECT count(*) = 2 FROM llm_usage WHERE job_id = '{job}'");
        Assert.Empty(await JobHistoryChecker.SettledChargeViolationsAsync(_database.Admin, [job, next]));
    }

    private WorkerProcess Start(params (string, string)[] settings) =>
        WorkerProcess.Start(_database, _inference.Address, [.. Quick, .. settings, ("Usage:Directory", _books)]);

    private async Task<Guid> EnqueueAsync() => (await _host.Services.GetRequiredService<JobStore>()
        .EnqueueAsync(Tenants.Development, JobTypes.Chat, null, """{"prompt":"Hi"}""", Cancel)).Id;

    private async Task UntilAsync(string sql)
    {
        var startedAt = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!await _database.ScalarAsync<bool>(sql))
        {
            if (Stopwatch.GetElapsedTime(startedAt) > Patience)
            {
                var states = await _database.ScalarAsync<string>(
                    """
                    SELECT string_agg(s.state || ' ' || s.jobs, ', ')
                    FROM (SELECT state, count(*) AS jobs FROM llm_jobs GROUP BY state) AS s
                    """);
                Assert.Fail($"{sql}: {states}");
            }

            await timer.WaitForNextTickAsync(Cancel);
        }
    }
}
