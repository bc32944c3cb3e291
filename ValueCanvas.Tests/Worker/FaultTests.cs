using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;
using ValueCanvas.Tests.Core.Jobs;
using ValueCanvas.Tests.Infrastructure;
using ValueCanvas.Worker.Execution;

namespace ValueCanvas.Tests.Worker;

/// <summary>What goes wrong around a worker that itself lives on.</summary>
public sealed class FaultTests(ServersFixture servers) : IAsyncLifetime
{
    private readonly MigratedDatabase _database = new(servers);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _database.InitializeAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Fact]
    public async Task Worker_SomebodyHoldsRowsInAnOpenTransaction_RunsAllOtherJobs()
    {
        await using var worker = await WorkerHost.StartAsync(_database, Succeeding());
        await MigratedDatabase.ExecuteAsync(
            _database.Admin, $"INSERT INTO llm_job_limits (tenant_id, max_running) VALUES ('{Tenants.Development}', 50)");
        await using var connection = new NpgsqlConnection(_database.Admin);
        await connection.OpenAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        var held = await worker.EnqueueAsync();
        await worker.UntilAsync(held.Id, JobState.Succeeded);
        await using (var hold = new NpgsqlCommand("UPDATE llm_job_limits SET weight = 2; SELECT * FROM llm_jobs FOR UPDATE", connection))
            await hold.ExecuteNonQueryAsync(Cancel);

        for (var i = 0; i < 5; i++)
            await worker.UntilAsync((await worker.EnqueueAsync()).Id, JobState.Succeeded);
    }

    [Fact]
    public async Task Worker_OneConnectionForEverything_RunsEveryJob()
    {
        await using var worker = await WorkerHost.StartAsync(
            _database, Succeeding(), null,
            ("ConnectionStrings:valuecanvas", _database.App + ";Pooling=true;Maximum Pool Size=1;Timeout=30"));
        List<Guid> jobs = [];
        for (var i = 0; i < 20; i++)
            jobs.Add((await worker.EnqueueAsync()).Id);

        foreach (var job in jobs)
            await worker.UntilAsync(job, JobState.Succeeded);
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin, jobs));
    }

    [Theory]
    [InlineData(-5)]
    [InlineData(5)]
    public async Task Worker_ClockIsMinutesApart_NeitherLosesLeasesNorDeadlines(int minutes)
    {
        await using var worker = await WorkerHost.StartAsync(
            _database,
            builder =>
            {
                builder.Services.AddSingleton<TimeProvider>(new ShiftedTime(TimeSpan.FromMinutes(minutes)));
                builder.Services.AddSingleton<IJobHandler>(new TestHandler(async (job, ct) =>
                {
                    // Until its lease has been renewed twice; a lease that is over would be found meanwhile.
                    using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
                    var since = "";
                    for (var renewals = 0; renewals < 2;)
                    {
                        await tick.WaitForNextTickAsync(ct);
                        var until = await _database.ScalarAsync<string>(
                            $"SELECT coalesce(lease_expires_at::text, '') FROM llm_jobs WHERE id = '{job.Id}'");
                        renewals += since.Length > 0 && until != since ? 1 : 0;
                        since = until;
                    }

                    return new JobOutcome.Succeeded("1");
                }));
            },
            settings: [("Worker:Heartbeat", "00:00:00.3"), ("Worker:RescueInterval", "00:00:00.3")]);

        // By the database's clock there is time enough.
        var job = await worker.EnqueueAsync(
            TestHandler.TestType, "{}", new NewJob("", null, "") { DeadlineAt = TimeProvider.System.GetUtcNow().AddMinutes(1) });

        var done = await worker.UntilAsync(job.Id, JobState.Succeeded, JobState.Failed);
        Assert.Equal((JobState.Succeeded, 1, 0), (done.Job.State, done.Job.Attempt, done.Job.CrashCount));
    }

    [Theory]
    [InlineData(JobTypes.Chat, "[1]")]
    [InlineData(JobTypes.Chat, "{}")]
    [InlineData(JobTypes.Chat, """{"messages":[{"role":"user"}]}""")]
    [InlineData(JobTypes.Batch, """{"requests":{}}""")]
    [InlineData(JobTypes.CanvasRefinement, """{"canvasId":1}""")]
    [InlineData(JobTypes.CanvasGeneration, "null")]
    public void JobArgs_RowThatNobodyValidated_IsNotRunAndDoesNotThrow(string type, string args) =>
        Assert.Null(JobArgs.Read(new Job { Type = type, Args = args }, new ValueCanvas.Core.Prompts.PromptCatalog()));

    [Fact]
    public async Task Upkeep_JobsDue_MeasuresThemForEverybody()
    {
        await using var worker = await WorkerHost.StartAsync(
            _database, Succeeding(), null, ("Worker:Concurrency", "1"), ("Worker:RescueInterval", "00:00:00.2"));
        await MigratedDatabase.ExecuteAsync(
            _database.Admin, $"INSERT INTO llm_job_limits (tenant_id, max_running, paused) VALUES ('{_database.OtherTenant}', 1, true)");
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $$"""
              INSERT INTO llm_jobs (id, tenant_id, type, args, run_at)
              SELECT gen_random_uuid(), '{{_database.OtherTenant}}', 'test', '{}', now() - interval '90 s' FROM generate_series(1, 3)
              """);
        var leases = worker.Services.GetRequiredService<JobLeases>();
        Assert.Equal(new QueueDepth(0, 0, 0), await leases.MeasureAsync(Cancel));

        await worker.StopAsync();
        await MigratedDatabase.ExecuteAsync(_database.Admin, "UPDATE llm_job_limits SET paused = false");
        var depth = await leases.MeasureAsync(Cancel);
        Assert.Equal((3, 0), (depth.Due, depth.Running));
        Assert.InRange(depth.OldestSeconds, 90, 200);

        List<long> told = [];
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Name == "valuecanvas.jobs.due")
                    self.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((_, value, _, _) => told.Add(value));
        listener.Start();
        worker.Services.GetRequiredService<WorkerMetrics>().Measured(depth);
        listener.RecordObservableInstruments();
        Assert.Contains(3, told);
    }

    private static TestHandler Succeeding() => new((_, _) => Task.FromResult<JobOutcome>(new JobOutcome.Succeeded("1")));

    private sealed class ShiftedTime(TimeSpan shift) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + shift;
    }
}
