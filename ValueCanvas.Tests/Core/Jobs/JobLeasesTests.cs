using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Core.Canvases;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Core.Jobs;

/// <summary>What a lease grants, and how it ends.</summary>
public sealed class JobLeasesTests(Infrastructure.ServersFixture servers) : QueueTests(servers)
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);
    // Over by the time the next statement runs, by the database's own clock.
    private static readonly TimeSpan Over = TimeSpan.FromMicroseconds(1);
    private static readonly JobError Error = new("some_code", "Some message.");

    [Fact]
    public async Task ClaimAsync_ManyWorkersAtOnce_GiveEveryJobToExactlyOne()
    {
        const int Jobs = 120;
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $"""
             INSERT INTO llm_jobs (id, tenant_id, type, args)
             SELECT gen_random_uuid(), (ARRAY['{Tenants.Development}', '{_database.OtherTenant}'])[1 + n % 2]::uuid, 't', '{"{}"}'
             FROM generate_series(1, {Jobs}) AS n
             """);

        var claimed = await Task.WhenAll(Enumerable.Range(0, 8).Select(async worker =>
        {
            var mine = new List<Guid>();
            while (await Leases.ClaimAsync($"w{worker}", 3, Long, Cancel) is { Count: > 0 } jobs)
                mine.AddRange(jobs.Select(job => job.Id));
            return mine;
        }));

        // A claim that finds the due rows locked by others answers nothing, although they may be given back: look again.
        var last = await Leases.ClaimAsync("last", Jobs, Long, Cancel);
        var all = claimed.SelectMany(ids => ids).Concat(last.Select(job => job.Id)).ToList();
        Assert.Equal(Jobs, all.Count);
        Assert.Equal(Jobs, all.Distinct().Count());
        Assert.Equal(Jobs, await _database.ScalarAsync<long>("SELECT sum(run_lease)::bigint FROM llm_jobs"));
    }

    [Fact]
    public async Task ClaimAsync_Job_IsRunningWithLeaseAttemptAndWorker()
    {
        var submitted = await EnqueueAsync();

        var job = Assert.Single(await Leases.ClaimAsync("worker-1", 10, Long, Cancel));

        Assert.Equal(submitted.Id, job.Id);
        Assert.Equal(Tenants.Development, job.TenantId);
        Assert.Equal(JobState.Running, job.State);
        Assert.Equal((1, 1L, "worker-1"), (job.Attempt, job.RunLease, job.WorkerId));
        Assert.InRange((job.LeaseExpiresAt - job.HeartbeatAt)!.Value, Long, Long + TimeSpan.FromSeconds(1));
        Assert.Empty(await Leases.ClaimAsync("worker-2", 10, Long, Cancel));
    }

    [Fact]
    public async Task ClaimAsync_SeveralDue_TakesUrgentThenOldAndNeverThoseOfTheFuture()
    {
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $$"""
              INSERT INTO llm_jobs (id, tenant_id, type, args, priority, run_at)
              SELECT gen_random_uuid(), '{{Tenants.Development}}', type, '{}', priority, now() + wait
              FROM (VALUES ('late', 3, '-1 s'::interval), ('early', 3, '-9 s'), ('urgent', 1, '-1 s'), ('future', 1, '1 h'))
                  AS v (type, priority, wait)
              """);

        var order = new List<string>();
        while (await Leases.ClaimAsync("w", 1, Long, Cancel) is [var job])
            order.Add(job.Type);

        Assert.Equal(["urgent", "early", "late"], order);
    }

    [Fact]
    public async Task CompleteAsync_Held_StoresResultAndChangesTogether()
    {
        await EnqueueAsync();
        var job = await ClaimAsync(Long);
        var canvas = NewCanvas(Tenants.Development);

        Assert.True(await Leases.CompleteAsync(job, """{"z":1,"a":2}""", Adding(canvas), Cancel));

        var stored = await Store.FindAsync(Tenants.Development, job.Id, Cancel);
        Assert.Equal(JobState.Succeeded, stored!.Job.State);
        Assert.NotNull(stored.Job.FinishedAt);
        Assert.Equal("""{"z":1,"a":2}""", stored.Result);
        Assert.Equal(1, await CountAsync("canvases"));
    }

    [Fact]
    public async Task CompleteAsync_ChangesTheDatabaseRefuses_StoresNothingAndTheJobStaysHeld()
    {
        await EnqueueAsync();
        var job = await ClaimAsync(Long);

        // A canvas of another tenant, which row-level security does not let pass.
        await Assert.ThrowsAsync<DbUpdateException>(
            () => Leases.CompleteAsync(job, "{}", Adding(NewCanvas(_database.OtherTenant)), Cancel));

        Assert.Equal(JobState.Running, (await Store.FindAsync(Tenants.Development, job.Id, Cancel))!.Job.State);
        Assert.Equal(0, await CountAsync("canvases"));
        Assert.Equal(0, await CountAsync("llm_job_results"));
        Assert.True(await Leases.CompleteAsync(job, "{}", null, Cancel));
    }

    [Fact]
    public async Task EveryWrite_OfAWorkerWhoseJobWasGivenToAnother_IsRefused()
    {
        await EnqueueAsync();
        var stale = await ClaimAsync(Over);
        Assert.Equal(JobState.Retryable, Assert.Single(await Leases.RescueAsync(10, 3, Cancel)).State);
        var current = await ClaimAsync(Long);
        Assert.True(current.RunLease > stale.RunLease);

        Assert.False(await Leases.CompleteAsync(stale, """{"by":"stale"}""", Adding(NewCanvas(Tenants.Development)), Cancel));
        Assert.False(await Leases.RetryAsync(stale, Error, TimeSpan.Zero, Cancel));
        Assert.False(await Leases.FailAsync(stale, Error, Cancel));
        Assert.False(await Leases.ReleaseAsync(stale, Cancel));
        Assert.False(await Leases.SnoozeAsync(stale, Error, TimeSpan.Zero, Cancel));
        Assert.False(await _host.Services.GetRequiredService<JobCheckpoints>().SaveAsync(stale, "{}", Cancel));
        Assert.Empty(await Leases.RenewAsync([stale], Long, Cancel));
        Assert.Equal([stale.Id], await Leases.FindLostAsync([stale], Cancel));
        Assert.Empty(await Leases.FindLostAsync([current], Cancel));

        Assert.Equal([current.Id], await Leases.RenewAsync([current], Long, Cancel));
        Assert.True(await Leases.CompleteAsync(current, """{"by":"current"}""", null, Cancel));
        Assert.Equal("""{"by":"current"}""", (await Store.FindAsync(Tenants.Development, current.Id, Cancel))!.Result);
        Assert.Equal(0, await CountAsync("canvases"));
    }

    [Fact]
    public async Task CompleteAsync_AfterTheJobWasRescuedButNotClaimedAgain_IsRefused()
    {
        await EnqueueAsync();
        var stale = await ClaimAsync(Over);
        await Leases.RescueAsync(10, 3, Cancel);

        Assert.False(await Leases.CompleteAsync(stale, "{}", null, Cancel));
    }

    [Fact]
    public async Task CompleteAsync_Twice_CountsOnce()
    {
        await EnqueueAsync();
        var job = await ClaimAsync(Long);

        Assert.True(await Leases.CompleteAsync(job, "1", null, Cancel));
        Assert.False(await Leases.CompleteAsync(job, "2", null, Cancel));

        Assert.Equal("1", (await Store.FindAsync(Tenants.Development, job.Id, Cancel))!.Result);
    }

    [Fact]
    public async Task RescueAsync_LeaseRenewed_LeavesTheJobAlone()
    {
        await EnqueueAsync();
        var job = await ClaimAsync(Over);
        await Leases.RenewAsync([job], Long, Cancel);

        Assert.Empty(await Leases.RescueAsync(10, 3, Cancel));
    }

    [Fact]
    public async Task RescueAsync_TwoAtOnce_RescueEveryJobOnce()
    {
        for (var i = 0; i < 20; i++)
            await EnqueueAsync();
        Assert.Equal(20, (await Leases.ClaimAsync("crashed", 20, Over, Cancel)).Count);

        var rescued = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Leases.RescueAsync(100, 3, Cancel)));

        Assert.Equal(20, rescued.Sum(jobs => jobs.Count));
        Assert.Equal(20, await _database.ScalarAsync<long>("SELECT sum(crash_count)::bigint FROM llm_jobs"));
    }

    [Fact]
    public async Task RescueAsync_JobThatKillsItsWorkers_IsGivenUpAtTheThird()
    {
        var job = await EnqueueAsync();
        var states = new List<JobState>();
        for (var crash = 0; crash < 3; crash++)
        {
            await ClaimAsync(Over);
            states.Add(Assert.Single(await Leases.RescueAsync(10, 3, Cancel)).State);
        }

        Assert.Equal([JobState.Retryable, JobState.Retryable, JobState.Failed], states);
        var given = (await Store.FindAsync(Tenants.Development, job.Id, Cancel))!.Job;
        Assert.Equal("poison", given.ErrorCode);
        Assert.NotNull(given.FinishedAt);
        Assert.Empty(await Leases.ClaimAsync("w", 1, Long, Cancel));
    }

    [Fact]
    public async Task RetryAsync_Held_WaitsAndKeepsTheError()
    {
        await EnqueueAsync();
        var job = await ClaimAsync(Long);

        Assert.True(await Leases.RetryAsync(job, Error, TimeSpan.FromHours(1), Cancel));

        Assert.Empty(await Leases.ClaimAsync("w", 1, Long, Cancel));
        var stored = (await Store.FindAsync(Tenants.Development, job.Id, Cancel))!.Job;
        Assert.Equal((JobState.Retryable, 1), (stored.State, stored.Attempt));
        Assert.Equal(("some_code", "Some message."), (stored.ErrorCode, stored.ErrorMessage));
        Assert.InRange(stored.RunAt - stored.StartedAt!.Value, TimeSpan.FromMinutes(59), TimeSpan.FromMinutes(61));
    }

    [Fact]
    public async Task ReleaseAsync_Held_IsDueAtOnceWithTheAttemptGivenBack()
    {
        await EnqueueAsync();
        var job = await ClaimAsync(Long);

        Assert.True(await Leases.ReleaseAsync(job, Cancel));

        var again = await ClaimAsync(Long);
        Assert.Equal(1, again.Attempt);
        Assert.True(again.RunLease > job.RunLease);
        Assert.Equal(0, again.CrashCount);
    }

    [Fact]
    public async Task FailAsync_Held_IsFinal()
    {
        await EnqueueAsync();
        var job = await ClaimAsync(Long);

        Assert.True(await Leases.FailAsync(job, Error, Cancel));

        Assert.Empty(await Leases.ClaimAsync("w", 1, Long, Cancel));
        Assert.Equal(JobState.Failed, (await Store.FindAsync(Tenants.Development, job.Id, Cancel))!.Job.State);
    }

    [Fact]
    public async Task App_ClaimingByHand_CannotPassTheFunctions()
    {
        await EnqueueAsync();

        await using var connection = new NpgsqlConnection(_database.App);
        await connection.OpenAsync(Cancel);
        await using var steal = new NpgsqlCommand("UPDATE llm_jobs SET state = 'running', lease_expires_at = now()", connection);
        Assert.Equal(0, await steal.ExecuteNonQueryAsync(Cancel));
    }

    private Task<Job> EnqueueAsync() => Store.EnqueueAsync(Tenants.Development, "t", null, "{}", Cancel);

    private async Task<Job> ClaimAsync(TimeSpan lease) => Assert.Single(await Leases.ClaimAsync("w", 1, lease, Cancel));

    private Task<long> CountAsync(string table) => _database.ScalarAsync<long>($"SELECT count(*) FROM {table}");

    private static JobChanges Adding(Canvas canvas) => (db, _) =>
    {
        db.Add(canvas);
        return Task.CompletedTask;
    };

    private static Canvas NewCanvas(Guid tenant) => new()
    {
        Id = Guid.NewGuid(),
        TenantId = tenant,
        Type = CanvasType.Lean,
        Title = "t",
        BusinessDescription = "d",
        Content = "{}",
        Model = "m",
        PromptVersion = "p",
        CreatedAt = DateTimeOffset.UnixEpoch,
        UpdatedAt = DateTimeOffset.UnixEpoch,
    };
}
