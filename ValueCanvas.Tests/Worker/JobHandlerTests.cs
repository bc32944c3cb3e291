using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Core.ProviderKeys;
using ValueCanvas.Core.Secrets;
using ValueCanvas.Tests.Core.Canvases;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Inference;
using ValueCanvas.Tests.Core.Jobs;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Tests.Worker;

/// <summary>The worker's own handlers, against a model server of the test's.</summary>
public sealed class JobHandlerTests(ServersFixture servers) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly MigratedDatabase _database = new(servers);
    private FakeInference _inference = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        _inference = await FakeInference.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _inference.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Chat_Streamed_StoresTheWholeText()
    {
        _inference.Answer = context => FakeInference.Stream(context, "Hel", "lo, ", "Wörld \U0001F600");
        await using var worker = await StartAsync();

        var job = await worker.EnqueueAsync(
            JobTypes.Chat,
            """{"prompt":"Hi","model":"m","temperature":0.5,"maxTokens":9,"system":"Be brief"}""");

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded, JobState.Failed);
        using var result = JsonDocument.Parse(done.Result!);
        Assert.Equal("Hello, Wörld \U0001F600", result.RootElement.GetProperty("response").GetString());
        Assert.Equal(9, result.RootElement.GetProperty("usage").GetProperty("totalTokens").GetInt32());
        var asked = Assert.Single(_inference.Seen).Json;
        Assert.Equal("m", asked.GetProperty("model").GetString());
        Assert.Equal(0.5, asked.GetProperty("temperature").GetDouble());
        Assert.Equal(9, asked.GetProperty("max_tokens").GetInt32());
        Assert.Equal(
            ["system", "user"],
            asked.GetProperty("messages").EnumerateArray().Select(message => message.GetProperty("role").GetString()));
    }

    [Fact]
    public async Task Chat_OfATenantWithAProviderKey_GoesOutUnderIt_AndNeverUnderAnotherWhereItCannotBeOpened()
    {
        const string header = "x-valuecanvas-key-openai";
        _inference.Answer = context => FakeInference.Stream(context, "Hello");
        await using var worker = await StartAsync(("Accounts:SecretKey", "a-secret-of-tests-that-is-long-enough"));
        async Task<Job> RunAsync() =>
            (await worker.UntilAsync((await worker.EnqueueAsync(JobTypes.Chat, """{"prompt":"Hi"}""")).Id, JobState.Succeeded)).Job;
        async Task UntilKeyAsync(string? key) => await InferenceProxy.ProxyHost.UntilAsync(async () =>
        {
            await RunAsync();
            return _inference.Seen.Last().Headers.GetValueOrDefault(header) == key;
        });

        await UntilKeyAsync(null);
        var box = worker.Services.GetRequiredService<SealedProviderKeys>()
            .Seal(Tenants.Development, "openai", "sk-a-tenants-own-0123456789");
        await MigratedDatabase.ExecuteAsync(_database.Admin,
            $"""
             INSERT INTO provider_keys (tenant_id, provider, sealed, last_four)
             VALUES ('{Tenants.Development}', 'openai', '\x{Convert.ToHexString(box)}', '6789')
             """);
        await UntilKeyAsync("sk-a-tenants-own-0123456789");

        // A worker that has another secret, or none.
        var asked = _inference.Seen.Count;
        await worker.StopAsync();
        await using var other = await StartAsync();
        await InferenceProxy.ProxyHost.UntilAsync(() => Task.FromResult(other.Services.GetRequiredService<KnownProviderKeys>().HasHeard));
        var job = await other.EnqueueAsync(JobTypes.Chat, """{"prompt":"Hi"}""");
        var failed = await other.UntilAsync(job.Id, JobState.Retryable, JobState.Failed, JobState.Succeeded);
        Assert.NotEqual(JobState.Succeeded, failed.Job.State);
        Assert.Equal(asked, _inference.Seen.Count);
    }

    [Fact]
    public async Task Chat_WorkerLostAfterACheckpoint_GoesOnWhereItEnds()
    {
        Job job;
        using (var dead = _database.Services())
        {
            job = await dead.Services.GetRequiredService<JobStore>()
                .EnqueueAsync(Tenants.Development, JobTypes.Chat, null, """{"prompt":"Count"}""", Cancel);
            var claimed = await ClaimAsync(dead.Services);
            var text = JobText.None.Begin(claimed.RunLease, keep: false) with { Text = "one, two, " };
            Assert.True(await dead.Services.GetRequiredService<JobCheckpoints>().SaveAsync(claimed, text.ToJson(), Cancel));
        }

        _inference.Answer = context => FakeInference.Stream(context, "three, ", "four");
        await using var worker = await StartAsync(("Worker:RescueInterval", "00:00:00.2"));

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded, JobState.Failed);
        using var result = JsonDocument.Parse(done.Result!);
        Assert.Equal("one, two, three, four", result.RootElement.GetProperty("response").GetString());
        var asked = Assert.Single(_inference.Seen).Json;
        Assert.True(asked.GetProperty("continue_final_message").GetBoolean());
        Assert.False(asked.GetProperty("add_generation_prompt").GetBoolean());
        Assert.Equal("one, two, ", asked.GetProperty("messages").EnumerateArray().Last().GetProperty("content").GetString());
    }

    [Fact]
    public async Task Chat_ServerCannotContinue_StartsOver()
    {
        Job job;
        using (var dead = _database.Services())
        {
            job = await dead.Services.GetRequiredService<JobStore>()
                .EnqueueAsync(Tenants.Development, JobTypes.Chat, null, """{"prompt":"Count"}""", Cancel);
            var claimed = await ClaimAsync(dead.Services);
            await dead.Services.GetRequiredService<JobCheckpoints>()
                .SaveAsync(claimed, (JobText.None.Begin(1, keep: false) with { Text = "one, two, " }).ToJson(), Cancel);
        }

        _inference.Answer = context => FakeInference.BodyOf(context).TryGetProperty("continue_final_message", out _)
            ? FakeInference.Error(context, 400, "Unknown field.")
            : FakeInference.Stream(context, "1, ", "2");
        await using var worker = await StartAsync(("Worker:RescueInterval", "00:00:00.2"));

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded, JobState.Failed);
        using var result = JsonDocument.Parse(done.Result!);
        Assert.Equal("1, 2", result.RootElement.GetProperty("response").GetString());
    }

    [Fact]
    public async Task Chat_CalledOffWhileItRuns_HangsUpOnTheModelWithinASecond()
    {
        await using var worker = await StartAsync();

        await Effect.WithinASecondAsync(async () =>
        {
            var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var hungUp = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _inference.Answer = async context =>
            {
                await FakeInference.Event(context, FakeInference.Chunk("never "));
                begun.SetResult();
                await using var registration = context.RequestAborted.Register(hungUp.SetResult);
                await hungUp.Task.WaitAsync(Patience, Cancel);
            };
            await worker.EnqueueAsync(JobTypes.Chat, """{"prompt":"Hi"}""");
            await begun.Task.WaitAsync(Patience, Cancel);

            await MigratedDatabase.ExecuteAsync(
                _database.Admin,
                """
                UPDATE llm_jobs SET state = 'cancelled', finished_at = clock_timestamp(), lease_expires_at = NULL WHERE state = 'running'
                """);
            var calledOff = Stopwatch.GetTimestamp();
            await hungUp.Task.WaitAsync(Patience, Cancel);
            return Stopwatch.GetElapsedTime(calledOff);
        });

        await worker.StopAsync();
        Assert.Equal("cancelled", await _database.ScalarAsync<string>("SELECT string_agg(DISTINCT state, ' ') FROM llm_jobs"));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin));
    }

    [Fact]
    public async Task Chat_ProxyHasNobodyToAsk_WaitsWithoutUsingAnAttempt()
    {
        var calls = 0;
        _inference.Answer = context =>
        {
            if (Interlocked.Increment(ref calls) > 2)
                return FakeInference.Stream(context, "at last");
            context.Response.Headers.RetryAfter = "1";
            return FakeInference.Error(context, calls == 1 ? 503 : 429, "Full.");
        };
        await using var worker = await StartAsync();

        var job = await worker.EnqueueAsync(JobTypes.Chat, """{"prompt":"Hi"}""");

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded, JobState.Failed);
        Assert.Equal((JobState.Succeeded, 1, 2), (done.Job.State, done.Job.Attempt, done.Job.Snoozes));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin));
    }

    [Fact]
    public async Task Chat_ProxyIsAwayAndThenBack_WaitsItOutWithItsOnlyAttempt()
    {
        var nowhere = new Uri(FakeInference.NowhereAddress());
        await using var worker = await StartAsync(("services:inference:http:0", nowhere.ToString()), ("Worker:PollInterval", "00:00:00.2"));
        var job = await worker.EnqueueAsync(JobTypes.Chat, """{"prompt":"Hi"}""", new("", null, "") { MaxAttempts = 1 });
        await UntilPutOffAsync(2);

        await using var back = await FakeInference.StartAsync(nowhere.Port);
        back.Answer = context => FakeInference.Stream(context, "at last");

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded, JobState.Failed);
        Assert.Equal((JobState.Succeeded, 1), (done.Job.State, done.Job.Attempt));
    }

    [Fact]
    public async Task Chat_ProxyStaysAway_FailsAtItsDeadlineAlone()
    {
        await using var worker = await StartAsync(
            ("services:inference:http:0", FakeInference.NowhereAddress()), ("Worker:PollInterval", "00:00:00.2"),
            ("Worker:RescueInterval", "00:00:00.2"));

        var job = await worker.EnqueueAsync(
            JobTypes.Chat, """{"prompt":"Hi"}""",
            new("", null, "") { MaxAttempts = 1, DeadlineAt = TimeProvider.System.GetUtcNow().AddMinutes(10) });
        await UntilPutOffAsync(1);
        await MigratedDatabase.ExecuteAsync(_database.Admin, "UPDATE llm_jobs SET deadline_at = clock_timestamp()");

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded, JobState.Failed);
        Assert.Equal((JobState.Failed, "deadline_exceeded"), (done.Job.State, done.Job.ErrorCode));
        Assert.True(done.Job.Snoozes > 0);
    }

    [Fact]
    public async Task Chat_DeadlinePassesWhileItRuns_FailsForGood()
    {
        _inference.Answer = context => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted)
            .ContinueWith(_ => { }, TaskScheduler.Default);
        await using var worker = await StartAsync();

        var soon = TimeProvider.System.GetUtcNow().AddSeconds(3);
        var job = await worker.EnqueueAsync(JobTypes.Chat, """{"prompt":"Hi"}""", new("", null, "") { DeadlineAt = soon });

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded, JobState.Failed);
        Assert.Equal((JobState.Failed, "deadline_exceeded"), (done.Job.State, done.Job.ErrorCode));
    }

    [Fact]
    public async Task Batch_SomeFailForGoodAndOneOnce_AsksAgainOnlyForThatOne()
    {
        var failed = 0;
        _inference.Answer = context =>
        {
            var content = FakeInference.BodyOf(context).GetProperty("messages")[0].GetProperty("content").GetString()!;
            return content switch
            {
                "bad" => FakeInference.Error(context, 400, "No."),
                "late" when Interlocked.Increment(ref failed) == 1 => FakeInference.Error(context, 500, "Broken."),
                _ => FakeInference.Text(context, 200, FakeInference.Completion($"re: {content}")),
            };
        };
        await using var worker = await StartAsync(("Worker:PollInterval", "00:00:00.2"));

        var job = await worker.EnqueueAsync(
            JobTypes.Batch,
            """{"requests":[{"prompt":"a"},{"prompt":"bad"},{"prompt":"late"},{"prompt":"b"}]}""");

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded, JobState.Failed);
        using var result = JsonDocument.Parse(done.Result!);
        Assert.Equal((3, 1), (result.RootElement.GetProperty("succeeded").GetInt32(), result.RootElement.GetProperty("failed").GetInt32()));
        var items = result.RootElement.GetProperty("items").EnumerateArray().ToList();
        Assert.Equal([0, 1, 2, 3], items.Select(item => item.GetProperty("index").GetInt32()));
        Assert.Equal("re: late", items[2].GetProperty("answer").GetProperty("response").GetString());
        Assert.Equal("bad_request", items[1].GetProperty("error").GetProperty("code").GetString());
        Assert.Equal((2, 5), (done.Job.Attempt, _inference.Seen.Count));
    }

    [Fact]
    public async Task Refinement_CanvasChangedMeanwhile_BeginsAgainFromWhatIsThere()
    {
        var canvas = await StoreCanvasAsync();
        var calls = 0;
        _inference.Answer = async context =>
        {
            // Somebody else is faster, once.
            if (Interlocked.Increment(ref calls) == 1)
            {
                await MigratedDatabase.ExecuteAsync(
                    _database.Admin,
                    "UPDATE canvases SET updated_at = updated_at + interval '1 s', title = 'Theirs'");
            }

            var answer = CanvasGeneratorTests.ValidAnswer(CanvasType.Lean);
            answer["title"] = $"Refined {calls}";
            await FakeInference.Text(context, 200, FakeInference.Completion(answer.ToJsonString()));
        };
        await using var worker = await StartAsync(("Worker:PollInterval", "00:00:00.2"));

        var job = await worker.EnqueueAsync(
            JobTypes.CanvasRefinement, $$"""{"canvasId":"{{canvas.Id}}","instruction":"Make it bolder"}""");

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded, JobState.Failed);
        Assert.Equal((JobState.Succeeded, 2), (done.Job.State, done.Job.Attempt));
        Assert.Equal("Refined 2", await _database.ScalarAsync<string>("SELECT title FROM canvases"));
        Assert.Equal(
            "canvas_changed",
            await _database.ScalarAsync<string>("SELECT error_code FROM llm_job_events WHERE event = 'retried'"));
    }

    private async Task UntilPutOffAsync(int times)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (await _database.ScalarAsync<int>("SELECT snoozes FROM llm_jobs") < times)
            await timer.WaitForNextTickAsync(patience.Token);
    }

    // By a worker that is dead at once.
    private static async Task<Job> ClaimAsync(IServiceProvider services) =>
        Assert.Single(await services.GetRequiredService<JobLeases>().ClaimAsync("dead", 1, TimeSpan.FromMicroseconds(1), Cancel));

    private async Task<Canvas> StoreCanvasAsync()
    {
        var canvas = new Canvas
        {
            Id = Guid.NewGuid(),
            TenantId = Tenants.Development,
            Type = CanvasType.Lean,
            Title = "Before",
            BusinessDescription = "d",
            Content = CanvasGeneratorTests.ValidAnswer(CanvasType.Lean).ToJsonString(),
            Model = "m",
            PromptVersion = "p",
            CreatedAt = DateTimeOffset.UnixEpoch,
            UpdatedAt = DateTimeOffset.UnixEpoch,
        };
        using var host = _database.Services();
        await host.Services.GetRequiredService<TenantDatabase>().ExecuteAsync(
            Tenants.Development,
            (db, _) =>
            {
                db.Add(canvas);
                return Task.CompletedTask;
            },
            Cancel);
        return canvas;
    }

    private Task<WorkerHost> StartAsync(params (string Key, string Value)[] settings) => WorkerHost.StartAsync(
        _database,
        builder =>
        {
            builder.AddServiceDefaults();
            builder.AddInference();
            builder.Services.AddSecrets(isRequired: false).AddProviderKeysOfTenants();
            builder.Services.AddCanvases();
            builder.Services.AddJobHandlers();
        },
        settings:
        [
            .. settings
                .Concat([("services:inference:http:0", _inference.Address), ("LOG_LEVEL", "none")])
                .DistinctBy(setting => setting.Item1),
        ]);
}
