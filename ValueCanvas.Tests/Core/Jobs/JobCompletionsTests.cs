using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Core.Jobs;

/// <summary>Successes in groups.</summary>
public sealed class JobCompletionsTests(Infrastructure.ServersFixture servers) : QueueTests(servers)
{
    private const int Jobs = 40;
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);

    [Fact]
    public async Task CompleteAsync_ManyAtOnceAndSomeLostTheirLease_TheOthersCountWithTheirOwnResults()
    {
        var jobs = await ClaimedAsync();
        var lost = jobs.Where((_, index) => index % 7 == 3).ToArray();
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $"""
             UPDATE llm_jobs SET lease_expires_at = now() - interval '1 s'
             WHERE id IN ({string.Join(", ", lost.Select(job => $"'{job.Id}'"))})
             """);
        await Leases.RescueAsync(Jobs, 3, Cancel);

        var held = await Task.WhenAll(jobs.Select(job => Leases.CompleteAsync(job, $$"""{"of":"{{job.Id}}"}""", null, Cancel)));

        Assert.Equal(jobs.Select(job => !lost.Contains(job)), held);
        Assert.Equal(Jobs - lost.Length, await _database.ScalarAsync<long>(
            """
            SELECT count(*) FROM llm_job_results r JOIN llm_jobs j ON j.id = r.job_id
            WHERE r.result ->> 'of' = j.id::text AND r.tenant_id = j.tenant_id AND r.run_lease = j.run_lease AND j.state = 'succeeded'
            """));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin));
    }

    [Fact]
    public async Task CompleteAsync_ManyAtOnceAndTheDatabaseRefusesOne_OnlyThatOneFails()
    {
        var jobs = await ClaimedAsync();

        var completions = jobs.Select((job, index) => Leases.CompleteAsync(job, index == 5 ? "not JSON" : "{}", null, Cancel)).ToArray();

        await Assert.ThrowsAsync<PostgresException>(() => completions[5]);
        Assert.All(await Task.WhenAll(completions.Where((_, index) => index != 5)), Assert.True);
        Assert.Equal(1, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs WHERE state = 'running'"));
    }

    [Fact]
    public async Task CompleteAsync_SameJobTwiceAtOnce_CountsOnce()
    {
        var jobs = await ClaimedAsync();

        var held = await Task.WhenAll(jobs.Concat(jobs).Select(job => Leases.CompleteAsync(job, "{}", null, Cancel)));

        Assert.Equal(Jobs, held.Count(one => one));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin));
    }

    /// <summary>What a caller needs to know whose connection broke off before the answer came.</summary>
    [Fact]
    public async Task CompleteLlmJobs_Again_SaysThatItWasThisLeaseAndNoOther()
    {
        var job = (await ClaimedAsync())[0];
        await Leases.CompleteAsync(job, "{}", null, Cancel);

        Assert.True(await EarlierAsync(job.RunLease));
        Assert.Null(await EarlierAsync(job.RunLease + 1));

        async Task<bool?> EarlierAsync(long lease)
        {
            await using var source = NpgsqlDataSource.Create(_database.Admin);
            await using var command = source.CreateCommand(
                $"SELECT earlier FROM complete_llm_jobs(ARRAY['{job.Id}'::uuid], ARRAY[{lease}], ARRAY['1'])");
            return (bool?)await command.ExecuteScalarAsync(Cancel);
        }
    }

    /// <summary>Of two tenants, all running.</summary>
    private async Task<IReadOnlyList<Job>> ClaimedAsync()
    {
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $"""
             INSERT INTO llm_jobs (id, tenant_id, type, args)
             SELECT gen_random_uuid(), (ARRAY['{Tenants.Development}', '{_database.OtherTenant}'])[1 + n % 2]::uuid, 't', '{"{}"}'
             FROM generate_series(1, {Jobs}) AS n
             """);
        var jobs = await Leases.ClaimAsync("w", Jobs, Long, Cancel);
        Assert.Equal(Jobs, jobs.Count);
        return jobs;
    }
}
