using Microsoft.Extensions.DependencyInjection;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Core.Jobs;

/// <summary>The test of the tests: whoever doctors a history, or a bill, is found out.</summary>
public sealed class JobHistoryCheckerTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    // As superuser, and past every trigger.
    private const string Doctor = "SET session_replication_role = replica;";
    private const string Event = "INSERT INTO llm_job_events (job_id, tenant_id, event, state, attempt, run_lease) SELECT id, tenant_id,";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("", null)]
    [InlineData("DELETE FROM llm_jobs; DELETE FROM llm_job_events; DELETE FROM llm_job_results", "accepted and lost")]
    [InlineData("DELETE FROM llm_job_events", "has no history")]
    [InlineData("DELETE FROM llm_job_events WHERE event = 'submitted'", "is not submitted first and once")]
    [InlineData(Event + " 'submitted', 'queued', 0, 0 FROM llm_jobs", "is not submitted first and once")]
    [InlineData(Event + " 'succeeded', 'succeeded', 2, 2 FROM llm_jobs", "ended more than once")]
    [InlineData(Event + " 'failed', 'failed', 2, 2 FROM llm_jobs; UPDATE llm_jobs SET state = 'failed'", "ended more than once")]
    [InlineData(Event + " 'claimed', 'running', 3, 3 FROM llm_jobs", "changed after its end")]
    [InlineData("UPDATE llm_jobs SET state = 'cancelled'", "is in a state that its history does not tell")]
    [InlineData("DELETE FROM llm_job_events WHERE event = 'rescued'", "was claimed while it ran")]
    [InlineData(
        "UPDATE llm_job_events SET run_lease = 1 WHERE event IN ('claimed', 'succeeded')",
        "under a lease that was given out before")]
    [InlineData("UPDATE llm_job_events SET run_lease = 9 WHERE event = 'succeeded'", "was succeeded under a lease that nobody had")]
    [InlineData("DELETE FROM llm_job_events WHERE event = 'claimed'", "was succeeded while it did not run")]
    [InlineData("DELETE FROM llm_job_results", "has a result without a success, or a success without a result")]
    [InlineData("UPDATE llm_job_results SET run_lease = 1", "has the result of another attempt")]
    [InlineData("DELETE FROM llm_usage", "pays nothing")]
    [InlineData("UPDATE llm_usage SET cost = 0", "pays nothing")]
    [InlineData("UPDATE llm_usage SET cost = 7 WHERE cost > 0", "the daily sums are not those of the rows")]
    [InlineData(
        "DROP INDEX llm_usage_one_charge; UPDATE llm_usage SET cost = 0.25; "
        + "UPDATE llm_usage SET job_id = (SELECT id FROM llm_jobs)",
        "pays 2 answers")]
    public async Task Checker_HistoryWasDoctored_SaysSo(string how, string? found)
    {
        var job = await RunAsync();

        await MigratedDatabase.ExecuteAsync(database.Admin, Doctor + how);

        List<string> said =
        [
            .. await JobHistoryChecker.ViolationsAsync(database.Admin, job),
            .. await JobHistoryChecker.ChargeViolationsAsync(database.Admin, [job]),
        ];
        if (found is null)
            Assert.Empty(said);
        else
            Assert.Contains(said, line => line.Contains(found, StringComparison.Ordinal));
    }

    /// <summary>A job whose first worker was lost and whose second succeeded, and what both cost.</summary>
    private async Task<Guid> RunAsync()
    {
        await MigratedDatabase.ExecuteAsync(
            database.Admin,
            """
            TRUNCATE llm_jobs, llm_job_events, llm_usage, model_usage CASCADE;
            CREATE UNIQUE INDEX IF NOT EXISTS llm_usage_one_charge ON llm_usage (job_id, job_question) WHERE job_id IS NOT NULL AND cost > 0
            """);
        using var host = database.Services();
        var leases = host.Services.GetRequiredService<JobLeases>();
        var job = await host.Services.GetRequiredService<JobStore>().EnqueueAsync(Tenants.Development, "t", null, "{}", Cancel);
        await leases.ClaimAsync("lost", 1, TimeSpan.FromMicroseconds(1), Cancel);
        await leases.RescueAsync(1, 3, Cancel);
        Assert.True(await leases.CompleteAsync((await leases.ClaimAsync("w", 1, TimeSpan.FromMinutes(1), Cancel))[0], "{}", null, Cancel));
        await database.ScalarAsync<int>(
            $"""
             SELECT record_usage(jsonb_agg(jsonb_build_object(
                 'id', gen_random_uuid(), 'tenant_id', '{Tenants.Development}', 'created_at', now(),
                 'job_id', '{job.Id}', 'job_question', 0,
                 'route', 'worker/t', 'streamed', true, 'status', 'completed', 'cache', 'bypass', 'input_tokens', 1, 'cached_tokens', 0,
                 'output_tokens', 1, 'reasoning_tokens', 0, 'usage_source', 'reported', 'cost', 0.5,
                 'replica_seconds', 0, 'latency_ms', 1)))
             FROM generate_series(1, 2)
             """);
        return job.Id;
    }
}
