using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Core.Jobs;
using ValueCanvas.Tests.Core.Usage;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Tests.Worker;

namespace ValueCanvas.Tests.Chaos;

/// <summary>
/// A job that kills whatever worker runs it, and others that run beside it. The leases are as long as they are by default, so that a slow
/// machine is no lost worker; those of a worker that was killed are ended by hand.
/// </summary>
[Trait("fault", "poison-job")]
public sealed class PoisonTests(ServersFixture servers) : IAsyncLifetime
{
    private const int Innocent = 6;
    private const string Poison = "poison";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan Beside = TimeSpan.FromSeconds(1.5);

    // For jobs that a worker has claimed and has not put off yet.
    private static readonly TimeSpan PutOff = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    private readonly MigratedDatabase _database = new(servers);
    private readonly ConcurrentQueue<WorkerProcess> _workers = new();
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _killed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _given = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _books = UsageHost.NewDirectory();
    private FakeInference _inference = null!;
    private int _asked;
    private volatile Task _killing = Task.CompletedTask;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        _inference = await FakeInference.StartAsync();
        _inference.Answer = AnswerAsync;
    }

    public async ValueTask DisposeAsync()
    {
        _begun.TrySetResult();
        _killed.TrySetResult();
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

        Assert.True(
            await _database.ScalarAsync<bool>(
                $"""
                 SELECT string_agg(args->>'prompt' || ' ' || error_code || ' ' || crash_count, ', ') FILTER (WHERE state = 'failed')
                         = '{Poison} poison 2'
                     AND count(*) FILTER (WHERE state = 'succeeded') = {Innocent}
                     -- Some ran beside it.
                     AND max(crash_count) FILTER (WHERE state = 'succeeded') > 0
                 FROM llm_jobs
                 """),
            await TellAsync());
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin, jobs.Keys));
        Assert.Empty(await JobHistoryChecker.SettledChargeViolationsAsync(_database.Admin, jobs.Keys));
    }

    // Each has a name of its own on its connections.
    private void Start() => _workers.Enqueue(WorkerProcess.Start(
        $"{_database.App};Application Name=worker {_workers.Count}", _database.Redis, _inference.Address,
        ("Worker:MaxCrashes", "2"), ("Worker:RescueInterval", "00:00:00.4"),
        ("Worker:PollInterval", "00:00:00.2"), ("Usage:Directory", _books),
        ("Usage:Prices:0:Model", "*"), ("Usage:Prices:0:Input", "10"), ("Usage:Prices:0:Output", "100")));

    private async Task AnswerAsync(HttpContext context)
    {
        var prompt = FakeInference.BodyOf(context).GetProperty("messages")[0].GetProperty("content").GetString();
        if (prompt == Poison)
        {
            await KillAsync();
            return;
        }

        // Beside it for as long as it lives, but not for ever: else those could keep it from being tried.
        if (Interlocked.Increment(ref _asked) == Innocent)
            _begun.TrySetResult();
        await _killed.Task.WaitAsync(Patience, context.RequestAborted);
        await Task.WhenAny(_given.Task, Task.Delay(Beside, TimeProvider.System, context.RequestAborted));
        await _killing.WaitAsync(Patience, context.RequestAborted);
        await FakeInference.Stream(context, "Hello.");
    }

    private async Task KillAsync()
    {
        var killing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _killing = killing.Task;
        try
        {
            // 1. Not at once: those that were claimed with it have begun.
            await _begun.Task.WaitAsync(Patience, Cancel);
            var worker = await _database.ScalarAsync<string>($"SELECT worker_id FROM llm_jobs WHERE args->>'prompt' = '{Poison}'");
            var (index, its) = _workers.Index().Single(one => $"{one.Item.Id}" == worker.Split('-')[^2]);

            // 2. Not between a claim and putting off what it brought: what is lost in that moment counts as lost with its worker.
            await using var turn = new NpgsqlConnection(_database.Admin);
            await turn.OpenAsync(Cancel);
            await ExecuteAsync("SELECT pg_advisory_lock(hashtextextended('claim_llm_jobs', 0))");
            var since = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(since) < PutOff && await _database.ScalarAsync<bool>(
                $"""
                 SELECT count(*) > 0 FROM llm_jobs
                 WHERE state = 'running' AND worker_id = '{worker}' AND crash_count > 0 AND args->>'prompt' <> '{Poison}'
                 """))
            {
                await Task.Delay(Poll, TimeProvider.System, Cancel);
            }

            // 3. Nothing is left of it, nor of a claim of its that waits for its turn.
            await its.KillAsync();
            await ExecuteAsync($"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'worker {index}'");
            await ExecuteAsync(
                $"UPDATE llm_jobs SET lease_expires_at = clock_timestamp() WHERE state = 'running' AND worker_id = '{worker}'");
            Start();

            async Task ExecuteAsync(string sql)
            {
                await using var command = new NpgsqlCommand(sql, turn);
                await command.ExecuteNonQueryAsync(Cancel);
            }
        }
        finally
        {
            _killed.TrySetResult();
            killing.SetResult();
        }
    }

    /// <summary>What became of each job, and how.</summary>
    private Task<string> TellAsync() => _database.ScalarAsync<string>(
        """
        SELECT string_agg(
            concat_ws(' ', j.args->>'prompt', j.state, j.error_code, j.crash_count, 'crashes:', (
                SELECT string_agg(concat_ws(' ', to_char(e.at, 'MI:SS.MS'), e.event, e.worker_id), ', ' ORDER BY e.id)
                FROM llm_job_events e WHERE e.job_id = j.id)),
            E'\n' ORDER BY j.args->>'prompt')
        FROM llm_jobs j
        """);

    private async Task UntilAsync(string sql)
    {
        var startedAt = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(Poll);
        while (!await _database.ScalarAsync<bool>(sql))
        {
            if (Stopwatch.GetElapsedTime(startedAt) > Patience)
                Assert.Fail($"{sql}:\n{await TellAsync()}");
            await timer.WaitForNextTickAsync(Cancel);
        }
    }
}
