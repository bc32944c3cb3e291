using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Core.Jobs;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Worker;

/// <summary>
/// Worker processes that are killed, frozen and cut off while they work; every job still ends once, and its history says so.
/// </summary>
public sealed class ChaosTests(ServersFixture servers) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private static readonly (string, string)[] Quick =
    [
        ("Worker:Lease", "00:00:01.5"), ("Worker:Heartbeat", "00:00:00.4"), ("Worker:RescueInterval", "00:00:00.4"), ("Worker:MaxCrashes", "50"),
        ("Worker:PollInterval", "00:00:00.3"), ("Worker:Concurrency", "4"),
    ];

    private readonly MigratedDatabase _database = new(servers);
    private readonly TaskCompletionSource<bool> _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
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
    public async Task Workers_KilledFrozenAndCutOff_LoseNoJobAndEndEachOnce()
    {
        // Each answer takes a while, so that every fault meets jobs in the middle.
        _inference.Answer = async context =>
        {
            await FakeInference.Event(context, FakeInference.Chunk("one "));
            await Task.Delay(TimeSpan.FromMilliseconds(150), TimeProvider.System, context.RequestAborted);
            await FakeInference.Stream(context, "two");
        };
        List<Guid> accepted = [];
        for (var i = 0; i < 60; i++)
            accepted.Add(await EnqueueAsync());
        await using var first = Start();
        await using var second = Start();
        await UntilAsync("SELECT count(*) >= 8 FROM llm_jobs WHERE state = 'succeeded'");

        await first.KillAsync();
        await second.FreezeAsync();
        await using var third = Start();
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'valuecanvas_app' AND datname = current_database()");
        await UntilAsync("SELECT count(*) >= 24 FROM llm_jobs WHERE state = 'succeeded'");
        await second.ThawAsync();
        await using var fourth = Start();
        await third.KillAsync();
        await UntilAsync("SELECT count(*) = 60 FROM llm_jobs WHERE state = 'succeeded'");

        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin, accepted));
        Assert.True(await _database.ScalarAsync<long>("SELECT count(*) FROM llm_job_events WHERE event = 'rescued'") > 0, "No fault met a job.");
        Assert.Equal(60, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_job_results WHERE result->>'response' LIKE '%two'"));
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
        await using var frozen = Start();
        await asked.Task.WaitAsync(Patience, Cancel);
        await frozen.FreezeAsync();
        await using var other = Start();
        await UntilAsync("SELECT count(*) = 1 FROM llm_jobs WHERE state = 'succeeded'");
        var result = await _database.ScalarAsync<string>("SELECT result->>'response' FROM llm_job_results");

        _release.SetResult(true);
        await frozen.ThawAsync();
        // It works again: it takes another job and does it.
        await other.KillAsync();
        var next = await EnqueueAsync();
        await UntilAsync($"SELECT count(*) = 1 FROM llm_jobs WHERE state = 'succeeded' AND id = '{next}'");

        Assert.Equal("by call 2", result);
        Assert.Equal("by call 2", await _database.ScalarAsync<string>($"SELECT result->>'response' FROM llm_job_results WHERE job_id = '{job}'"));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin, job, next));
    }

    private WorkerProcess Start() => WorkerProcess.Start(_database, _inference.Address, Quick);

    private async Task<Guid> EnqueueAsync() => (await _host.Services.GetRequiredService<JobStore>()
        .EnqueueAsync(Tenants.Development, JobTypes.Chat, null, """{"prompt":"Hi"}""", Cancel)).Id;

    private async Task UntilAsync(string sql)
    {
        var startedAt = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!await _database.ScalarAsync<bool>(sql))
        {
            if (Stopwatch.GetElapsedTime(startedAt) > Patience)
                Assert.Fail($"{sql}: {await _database.ScalarAsync<string>(
                    "SELECT string_agg(s.state || ' ' || s.jobs, ', ') FROM (SELECT state, count(*) AS jobs FROM llm_jobs GROUP BY state) AS s")}");
            await timer.WaitForNextTickAsync(Cancel);
        }
    }
}
