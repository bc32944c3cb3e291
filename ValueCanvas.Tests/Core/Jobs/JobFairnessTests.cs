using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Core.Jobs;

/// <summary>Whose job is next.</summary>
public sealed class JobFairnessTests(Infrastructure.ServersFixture servers) : QueueTests(servers)
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);

    private static Guid A => Tenants.Development;

    private Guid B => _database.OtherTenant;

    [Fact]
    public async Task ClaimAsync_OneTenantHasManyWaiting_AnothersFewAreNextTurnForTurn()
    {
        await SubmitAsync(A, 500);
        await ClaimAsync(100);
        await SubmitAsync(B, 10);

        var claimed = await ClaimAsync(21);

        Assert.Equal(10, claimed.Count(job => job.TenantId == B));
    }

    [Fact]
    public async Task ClaimAsync_WeightsThreeToOne_StartsThreeTimesAsMany()
    {
        await LimitAsync(A, "weight", "3");
        await SubmitAsync(A, 400);
        await SubmitAsync(B, 400);

        // One by one and in batches: the order is the same.
        List<Job> claimed = [];
        foreach (var size in Enumerable.Repeat((int[])[1, 7, 3, 16, 5], 8).SelectMany(sizes => sizes))
            claimed.AddRange(await ClaimAsync(size));

        var ratio = claimed.Count(job => job.TenantId == A) / (double)claimed.Count(job => job.TenantId == B);
        Assert.Equal(256, claimed.Count);
        Assert.InRange(ratio, 2.85, 3.15);
    }

    [Fact]
    public async Task ClaimAsync_TenantThatWasIdle_HasSavedNothingUp()
    {
        await SubmitAsync(B, 1);
        await SubmitAsync(A, 300);
        await ClaimAsync(200);
        await SubmitAsync(B, 100);

        var claimed = await ClaimAsync(40);

        Assert.InRange(claimed.Count(job => job.TenantId == B), 19, 21);
    }

    [Fact]
    public async Task ClaimAsync_CapAndManyClaimers_IsNeverExceededAndAlwaysUsed()
    {
        await LimitAsync(A, "max_running", "5");
        await SubmitAsync(A, 150);
        await SubmitAsync(B, 150);

        // A snapshot is exact: it sees what has committed at one moment.
        var most = 0L;
        await using var source = Npgsql.NpgsqlDataSource.Create(_database.Operator);
        await Task.WhenAll(Enumerable.Range(0, 6).Select(async worker =>
        {
            // Others may have all that the cap allows at the moment.
            for (var idle = 0; idle < 5;)
            {
                var jobs = await Leases.ClaimAsync($"w{worker}", 4, Long, Cancel);
                idle = jobs.Count == 0 ? idle + 1 : 0;
                await using var count = source.CreateCommand(
                    $"SELECT count(*) FROM llm_jobs WHERE state = 'running' AND tenant_id = '{A}'");
                InterlockedMax(ref most, (long)(await count.ExecuteScalarAsync(Cancel))!);
                foreach (var job in jobs)
                    Assert.True(await Leases.CompleteAsync(job, "{}", null, Cancel));
            }
        }));

        Assert.InRange(most, 2, 5);
        Assert.Equal(300, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs WHERE state = 'succeeded'"));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin));
    }

    [Fact]
    public async Task ClaimAsync_CapReached_TakesTheOthersInstead()
    {
        await LimitAsync(A, "max_running", "2");
        await SubmitAsync(A, 10);
        await SubmitAsync(B, 10);

        var claimed = await ClaimAsync(8);

        Assert.Equal((2, 6), (claimed.Count(job => job.TenantId == A), claimed.Count(job => job.TenantId == B)));
        Assert.All(await ClaimAsync(8), job => Assert.Equal(B, job.TenantId));
        Assert.Empty(await ClaimAsync(8));
    }

    [Fact]
    public async Task ClaimAsync_TenantPaused_TakesNoneOfItsJobsUntilItIsResumed()
    {
        await LimitAsync(A, "paused", "true");
        await SubmitAsync(A, 2);

        Assert.Empty(await ClaimAsync(8));

        await LimitAsync(A, "paused", "false");
        Assert.Equal(2, (await ClaimAsync(8)).Count);
    }

    [Fact]
    public async Task ClaimAsync_LowPriorityHasWaitedForMinutes_ComesBeforeNewUrgentJobs()
    {
        await SubmitAsync(A, 1, "5", "now() - interval '5 minutes'", type: "old");
        await SubmitAsync(A, 1, "4", "now() - interval '1 minute'", type: "young");
        await SubmitAsync(A, 1, "2", type: "urgent");

        var order = (await ClaimAsync(3)).Select(job => job.Type);

        Assert.Equal(["old", "urgent", "young"], order);
    }

    [Fact]
    public async Task ExpireAsync_DeadlinePassed_FailsTheJobThatNoClaimTakes()
    {
        await SubmitAsync(A, 1);
        await MigratedDatabase.ExecuteAsync(_database.Admin, "UPDATE llm_jobs SET deadline_at = now() - interval '1 s'");

        Assert.Empty(await ClaimAsync(1));
        Assert.Equal(1, await Leases.ExpireAsync(10, Cancel));

        Assert.Equal("failed deadline_exceeded", await _database.ScalarAsync<string>("SELECT state || ' ' || error_code FROM llm_jobs"));
    }

    [Fact]
    public async Task PruneAsync_OldAndEnded_GoesWithAllThatBelongsToIt()
    {
        await SubmitAsync(A, 4);
        var jobs = await ClaimAsync(3);
        await Leases.CompleteAsync(jobs[0], "{}", null, Cancel);
        await Leases.FailAsync(jobs[1], new("c", "m"), Cancel);
        await Leases.CompleteAsync(jobs[2], "{}", null, Cancel);
        await AgeAsync(jobs[0], "2 days");
        await AgeAsync(jobs[1], "2 days");

        Assert.Equal(1, await Leases.PruneAsync(TimeSpan.FromDays(1), TimeSpan.FromDays(3), 10, Cancel));
        Assert.Equal(1, await Leases.PruneAsync(TimeSpan.FromDays(3), TimeSpan.FromDays(1), 10, Cancel));
        // What is younger than an hour stays whoever asks.
        Assert.Equal(0, await Leases.PruneAsync(TimeSpan.Zero, TimeSpan.Zero, 10, Cancel));

        Assert.Equal(2, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs"));
        Assert.Equal(1, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_job_results"));
        Assert.Equal(2, await _database.ScalarAsync<long>("SELECT count(DISTINCT job_id) FROM llm_job_events"));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin));

        Task AgeAsync(Job job, string age) => MigratedDatabase.ExecuteAsync(
            _database.Admin, $"UPDATE llm_jobs SET finished_at = now() - interval '{age}' WHERE id = '{job.Id}'");
    }

    private static void InterlockedMax(ref long target, long value)
    {
        for (var seen = Volatile.Read(ref target); seen < value && Interlocked.CompareExchange(ref target, value, seen) != seen;)
            seen = Volatile.Read(ref target);
    }

    private Task<IReadOnlyList<Job>> ClaimAsync(int count) => Leases.ClaimAsync("w", count, Long, Cancel);

    private Task SubmitAsync(
        Guid tenant, int count, string priority = "3", string runAt = "now()", string type = "t") => MigratedDatabase.ExecuteAsync(
        _database.Admin,
        $$"""
          INSERT INTO llm_jobs (id, tenant_id, type, args, priority, run_at)
          SELECT gen_random_uuid(), '{{tenant}}', '{{type}}', '{}', {{priority}}, {{runAt}} FROM generate_series(1, {{count}})
          """);

    private Task LimitAsync(Guid tenant, string column, string value) => MigratedDatabase.ExecuteAsync(
        _database.Admin,
        $"""
         INSERT INTO llm_job_limits (tenant_id, {column}) VALUES ('{tenant}', {value})
         ON CONFLICT (tenant_id) DO UPDATE SET {column} = excluded.{column}
         """);
}
