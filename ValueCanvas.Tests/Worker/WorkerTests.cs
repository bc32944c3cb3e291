using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Tests.Worker;

/// <summary>Each test has a database of its own: workers take every job that is due.</summary>
public sealed class WorkerTests(ServersFixture servers) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly MigratedDatabase _database = new(servers);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _database.InitializeAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Fact]
    public async Task Worker_SubmittedJob_RunsAndStoresItsResult()
    {
        await using var worker = await WorkerHost.StartAsync(
            _database, new TestHandler((job, _) => Task.FromResult<JobOutcome>(new JobOutcome.Succeeded(job.Args))));

        var job = await worker.EnqueueAsync(args: """{"n": 1}""");

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded);
        Assert.Equal("""{"n": 1}""", done.Result);
        Assert.Equal((1, 0), (done.Job.Attempt, done.Job.CrashCount));
    }

    [Fact]
    public async Task Worker_NoRedis_RunsJobs()
    {
        await using var worker = await WorkerHost.StartAsync(
            _database,
            new TestHandler((_, _) => Task.FromResult<JobOutcome>(new JobOutcome.Succeeded("1"))),
            "127.0.0.1:1,connectTimeout=200");

        var job = await worker.EnqueueAsync();

        await worker.UntilAsync(job.Id, JobState.Succeeded);
    }

    [Fact]
    public async Task Worker_ManyJobs_RunsAtMostAsManyAtOnceAsItMay()
    {
        var running = 0;
        var most = 0;
        var full = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var worker = await WorkerHost.StartAsync(
            _database,
            new TestHandler(async (_, ct) =>
            {
                InterlockedMax(ref most, Interlocked.Increment(ref running));
                if (Volatile.Read(ref most) >= 3)
                    full.TrySetResult();
                await full.Task.WaitAsync(Patience, ct);
                await using var connection = new Npgsql.NpgsqlConnection(_database.Admin);
                await connection.OpenAsync(ct);
                await using var work = new Npgsql.NpgsqlCommand("SELECT pg_sleep(0.05)", connection);
                await work.ExecuteNonQueryAsync(ct);
                Interlocked.Decrement(ref running);
                return new JobOutcome.Succeeded("1");
            }),
            settings: ("Worker:Concurrency", "3"));

        var jobs = new List<Job>();
        for (var i = 0; i < 12; i++)
            jobs.Add(await worker.EnqueueAsync());
        foreach (var job in jobs)
            await worker.UntilAsync(job.Id, JobState.Succeeded);

        Assert.Equal(3, most);
    }

    [Fact]
    public async Task Workers_NoneHasRoomForAll_EachIsToldOfWhatIsLeft()
    {
        // A hint that is late is given up, and no poll comes instead of it: a busy machine may take that once.
        for (var round = 1; await BegunAsync() is var begun && begun < 3; round++)
        {
            Assert.True(round < 3, $"{begun} jobs ran.");
            await MigratedDatabase.ExecuteAsync(_database.Admin, "TRUNCATE llm_jobs CASCADE");
        }
    }

    /// <returns>Of three workers with room for one job each, how many began one of the four that there are.</returns>
    private async Task<int> BegunAsync()
    {
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var begun = new SemaphoreSlim(0);
        var handler = new TestHandler(async (_, ct) =>
        {
            begun.Release();
            await end.Task.WaitAsync(ct);
            return new JobOutcome.Succeeded("1");
        });
        // No poll comes in time.
        (string, string)[] settings = [("Worker:Concurrency", "1"), ("Worker:PollInterval", "00:10:00")];
        await using var first = await WorkerHost.StartAsync(_database, handler, settings: settings);
        await using var second = await WorkerHost.StartAsync(_database, handler, settings: settings);
        await using var third = await WorkerHost.StartAsync(_database, handler, settings: settings);

        Job[] jobs = [await first.EnqueueAsync(), await first.EnqueueAsync(), await second.EnqueueAsync(), await third.EnqueueAsync()];

        var running = 0;
        while (running < 3 && await begun.WaitAsync(TimeSpan.FromSeconds(10), Cancel))
            running++;
        end.SetResult();
        if (running < 3)
            return running;

        foreach (var job in jobs)
            await first.UntilAsync(job.Id, JobState.Succeeded);
        Assert.Equal(3, await _database.ScalarAsync<long>("SELECT count(DISTINCT worker_id) FROM llm_jobs"));
        return running;
    }

    [Fact]
    public async Task Worker_AttemptFails_TriesAgainAndSucceeds()
    {
        var attempts = 0;
        await using var worker = await WorkerHost.StartAsync(
            _database,
            new TestHandler((_, _) => ++attempts == 1
                ? throw new InferenceException(InferenceFailure.Timeout, "Late.", retryAfter: TimeSpan.FromMilliseconds(200))
                : Task.FromResult<JobOutcome>(new JobOutcome.Succeeded("1"))));

        var job = await worker.EnqueueAsync();

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded);
        Assert.Equal(2, done.Job.Attempt);
        Assert.Null(done.Job.ErrorCode);
    }

    [Fact]
    public async Task Worker_AttemptsUsedUp_Fails()
    {
        await using var worker = await WorkerHost.StartAsync(
            _database,
            new TestHandler((_, _) =>
                throw new InferenceException(InferenceFailure.Timeout, "Late.", retryAfter: TimeSpan.FromMilliseconds(10))));

        var job = await worker.EnqueueAsync();

        var done = await worker.UntilAsync(job.Id, JobState.Failed);
        Assert.Equal((5, "timeout", "Late."), (done.Job.Attempt, done.Job.ErrorCode, done.Job.ErrorMessage));
    }

    [Theory]
    [InlineData("nobody_knows_it", "unknown_type")]
    [InlineData(TestHandler.TestType, "bad_request")]
    public async Task Worker_JobThatCannotSucceed_FailsAtOnce(string type, string code)
    {
        await using var worker = await WorkerHost.StartAsync(
            _database, new TestHandler((_, _) => throw new InferenceException(InferenceFailure.BadRequest, "Too long.")));

        var job = await worker.EnqueueAsync(type);

        var done = await worker.UntilAsync(job.Id, JobState.Failed);
        Assert.Equal((1, code), (done.Job.Attempt, done.Job.ErrorCode));
    }

    [Fact]
    public async Task Worker_AttemptTakesTooLong_IsEndedAndTriedAgain()
    {
        await using var worker = await WorkerHost.StartAsync(
            _database,
            new TestHandler(async (job, ct) =>
            {
                if (job.Attempt == 1)
                    await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
                return new JobOutcome.Succeeded("1");
            }),
            settings: ("Worker:AttemptTimeout", "00:00:01"));

        var job = await worker.EnqueueAsync();

        Assert.Equal(2, (await worker.UntilAsync(job.Id, JobState.Succeeded)).Job.Attempt);
        Assert.Equal(
            "timeout", await _database.ScalarAsync<string>("SELECT error_code FROM llm_job_events WHERE event = 'retried'"));
    }

    [Fact]
    public async Task Worker_AnotherDiedBetweenClaimAndComplete_TakesItsJobOver()
    {
        // A worker that claims and is never heard of again.
        Job job;
        using (var dead = _database.Services())
        {
            job = await dead.Services.GetRequiredService<JobStore>()
                .EnqueueAsync(Tenants.Development, TestHandler.TestType, null, "{}", Cancel);
            Assert.Single(await dead.Services.GetRequiredService<JobLeases>()
                .ClaimAsync("dead", 1, TimeSpan.FromMilliseconds(500), Cancel));
        }

        await using var worker = await WorkerHost.StartAsync(
            _database,
            new TestHandler((_, _) => Task.FromResult<JobOutcome>(new JobOutcome.Succeeded("1"))),
            settings: ("Worker:RescueInterval", "00:00:00.3"));

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded);
        Assert.Equal((2, 1), (done.Job.Attempt, done.Job.CrashCount));
        Assert.Equal(1, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_job_results"));
    }

    [Fact]
    public async Task Worker_LeaseGivenToAnother_EndsTheAttemptAndStoresNothing()
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var worker = await WorkerHost.StartAsync(
            _database,
            new TestHandler(async (_, ct) =>
            {
                try
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
                }
                finally
                {
                    ended.SetResult();
                }

                return new JobOutcome.Succeeded("1");
            }),
            settings: ("Worker:Heartbeat", "00:00:00.3"));
        var job = await worker.EnqueueAsync();
        await worker.UntilAsync(job.Id, JobState.Running);

        // As a rescue and a claim elsewhere would.
        await MigratedDatabase.ExecuteAsync(_database.Admin, "UPDATE llm_jobs SET run_lease = run_lease + 1, worker_id = 'another'");

        await ended.Task.WaitAsync(Patience, Cancel);
        await worker.StopAsync();
        Assert.Equal("running another", await _database.ScalarAsync<string>("SELECT state || ' ' || worker_id FROM llm_jobs"));
        Assert.Equal(0, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_job_results"));
    }

    [Fact]
    public async Task Worker_Stopped_LetsRunningJobsFinish()
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var finish = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var log = new LogQueue();
        await using var worker = await WorkerHost.StartAsync(
            _database,
            builder =>
            {
                builder.Logging.AddProvider(log);
                builder.Services.AddSingleton<IJobHandler>(new TestHandler(async (_, _) =>
                {
                    started.SetResult();
                    await finish.Task;
                    return new JobOutcome.Succeeded("1");
                }));
            });
        var job = await worker.EnqueueAsync();
        await started.Task.WaitAsync(Patience, Cancel);

        var stopping = worker.StopAsync();
        await InferenceProxy.ProxyHost.UntilAsync(() => Task.FromResult(
            log.Lines.Any(line => line.StartsWith("Stopping: no new jobs", StringComparison.Ordinal))));
        var later = await worker.EnqueueAsync();
        finish.SetResult();
        await stopping.WaitAsync(Patience, Cancel);

        Assert.Equal(JobState.Succeeded, (await worker.UntilAsync(job.Id, JobState.Succeeded)).Job.State);
        Assert.Equal(JobState.Queued, (await worker.UntilAsync(later.Id, JobState.Queued)).Job.State);
    }

    [Fact]
    public async Task Worker_StoppedAndTheJobGoesOn_HandsItBackAndAnotherTakesIt()
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var first = await WorkerHost.StartAsync(
            _database,
            new TestHandler(async (_, ct) =>
            {
                started.SetResult();
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
                return new JobOutcome.Succeeded("1");
            }),
            settings: ("Worker:DrainTimeout", "00:00:00.5"));
        var job = await first.EnqueueAsync();
        await started.Task.WaitAsync(Patience, Cancel);

        await first.StopAsync();
        Assert.Equal("queued 0", await _database.ScalarAsync<string>("SELECT state || ' ' || attempt FROM llm_jobs"));

        await using var second = await WorkerHost.StartAsync(
            _database, new TestHandler((_, _) => Task.FromResult<JobOutcome>(new JobOutcome.Succeeded("1"))));
        var done = await second.UntilAsync(job.Id, JobState.Succeeded);
        Assert.Equal((1, 0), (done.Job.Attempt, done.Job.CrashCount));
        await first.DisposeAsync();
    }

    [Fact]
    public async Task Worker_BackendsTerminated_GoesOnByItself()
    {
        await using var worker = await WorkerHost.StartAsync(
            _database, new TestHandler((_, _) => Task.FromResult<JobOutcome>(new JobOutcome.Succeeded("1"))));
        var before = await worker.EnqueueAsync();
        await worker.UntilAsync(before.Id, JobState.Succeeded);

        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");

        var after = await worker.EnqueueAsync();
        await worker.UntilAsync(after.Id, JobState.Succeeded);
    }

    [Fact]
    public async Task Worker_JobOfATracedRequest_ContinuesItsTrace()
    {
        var spans = new System.Collections.Concurrent.ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == JobTracing.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await using var worker = await WorkerHost.StartAsync(
            _database,
            new TestHandler((_, _) => Task.FromResult<JobOutcome>(new JobOutcome.Succeeded($"\"{Activity.Current?.TraceId}\""))));

        Job job;
        using (var request = new Activity("request").SetIdFormat(ActivityIdFormat.W3C).Start())
        {
            job = await worker.EnqueueAsync();
            var done = await worker.UntilAsync(job.Id, JobState.Succeeded);
            Assert.Equal($"\"{request.TraceId}\"", done.Result);
        }

        await worker.StopAsync();
        var mine = spans.Where(span => (string?)span.GetTagItem("messaging.message.id") == job.Id.ToString()).ToList();
        var send = Assert.Single(mine, span => span.Kind == ActivityKind.Producer);
        var process = Assert.Single(mine, span => span.Kind == ActivityKind.Consumer);
        Assert.Equal(send.SpanId, process.ParentSpanId);
    }

    private static void InterlockedMax(ref int target, int value)
    {
        int seen;
        while ((seen = Volatile.Read(ref target)) < value && Interlocked.CompareExchange(ref target, value, seen) != seen)
        {
        }
    }
}
