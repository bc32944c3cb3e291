using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Core.Jobs;
using ValueCanvas.Tests.Core.Usage;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.Worker;

namespace ValueCanvas.Tests.Chaos;

/// <summary>A job that kills whatever worker runs it, and others that run beside it each time.</summary>
[Trait("fault", "poison-job")]
public sealed class PoisonTests(ServersFixture servers) : IAsyncLifetime
{
    private const int Innocent = 6;
    private const string Poison = "poison";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly MigratedDatabase _database = new(servers);
    private readonly ConcurrentQueue<WorkerProcess> _workers = new();
    private readonly TaskCompletionSource _given = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _books = UsageHost.NewDirectory();
    private FakeInference _inference = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        _inference = await FakeInference.StartAsync();
        _inference.Answer = AnswerAsync;
    }

    public async ValueTask DisposeAsync()
    {
        _given.TrySetResult();
        foreach (var worker in _workers)
            await worker.DisposeAsync();
        await _inference.DisposeAsync();
    }

    [Fact]
    public async Task Job_ThatKillsItsWorkers_IsGivenUpAndTakesNoOtherAlong()
    {
        using var host = _database.Services();
        var store = host.Services.GetRequiredService<JobStore>();
        Dictionary<Guid, string> jobs = [];
        foreach (var prompt in Enumerable.Range(0, Innocent).Select(i => $"innocent {i}").Prepend(Poison))
            jobs[(await store.EnqueueAsync(Tenants.Development, JobTypes.Chat, null, $$"""{"prompt":"{{prompt}}"}""", Cancel)).Id] = prompt;
        Start();
        Start();

        await UntilAsync($"SELECT state = 'failed' FROM llm_jobs WHERE args->>'prompt' = '{Poison}'");
        _given.SetResult();
        await UntilAsync("SELECT count(*) = 0 FROM llm_jobs WHERE state IN ('queued', 'running', 'retryable')");

        Assert.Equal(
            "poison 2",
            await _database.ScalarAsync<string>("SELECT error_code || ' ' || crash_count FROM llm_jobs WHERE state = 'failed'"));
        Assert.Equal(Innocent, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs WHERE state = 'succeeded'"));
        Assert.True(
            await _database.ScalarAsync<bool>("SELECT max(crash_count) > 0 FROM llm_jobs WHERE state = 'succeeded'"),
            "None ran beside it.");
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin, jobs.Keys));
        Assert.Empty(await JobHistoryChecker.ChargeViolationsAsync(_database.Admin, jobs.Keys));
    }

    private void Start() => _workers.Enqueue(WorkerProcess.Start(
        _database, _inference.Address,
        ("Worker:MaxCrashes", "2"), ("Worker:Lease", "00:00:03"), ("Worker:Heartbeat", "00:00:00.5"),
        ("Worker:RescueInterval", "00:00:00.4"),
        ("Worker:PollInterval", "00:00:00.2"), ("Usage:Directory", _books),
        ("Usage:Prices:0:Model", "*"), ("Usage:Prices:0:Input", "10"), ("Usage:Prices:0:Output", "100")));

    private async Task AnswerAsync(HttpContext context)
    {
        var prompt = FakeInference.BodyOf(context).GetProperty("messages")[0].GetProperty("content").GetString();
        // Beside it for as long as it lives, but not for ever: else those could keep it from being tried.
        if (prompt != Poison)
        {
            await Task.WhenAny(_given.Task, Task.Delay(TimeSpan.FromSeconds(1.5), TimeProvider.System, context.RequestAborted));
            await FakeInference.Stream(context, "Hello.");
            return;
        }

        // Not at once: those that were claimed with it have begun.
        await Task.Delay(TimeSpan.FromSeconds(0.3), TimeProvider.System, context.RequestAborted);
        var worker = await _database.ScalarAsync<string>($"SELECT worker_id FROM llm_jobs WHERE args->>'prompt' = '{Poison}'");
        var id = worker.Split('-')[^2];
        foreach (var one in _workers.Where(one => $"{one.Id}" == id))
        {
            await one.KillAsync();
            Start();
        }
    }

    private async Task UntilAsync(string sql)
    {
        var startedAt = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        while (!await _database.ScalarAsync<bool>(sql))
        {
            if (Stopwatch.GetElapsedTime(startedAt) > Patience)
            {
                Assert.Fail($"{sql}: {await _database.ScalarAsync<string>(
                    "SELECT string_agg(args->>'prompt' || ' ' || state || ' ' || crash_count, ', ') FROM llm_jobs")}");
            }

            await timer.WaitForNextTickAsync(Cancel);
        }
    }
}
