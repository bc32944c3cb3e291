using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Api.Jobs;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Core.Jobs;

/// <summary>Parents and children where several ends come at once; <see cref="JobModelTests"/> has them one after another.</summary>
public sealed class JobFamilyTests(Infrastructure.ServersFixture servers) : QueueTests(servers)
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly JobError Error = new("some_code", "Some message.");

    [Fact]
    public async Task Parent_ItsLastChildrenEndAtOnce_StartsOnce()
    {
        for (var round = 0; round < 25; round++)
        {
            await SubmitAsync(ChildFailures.Fail, 3);
            var children = await Leases.ClaimAsync("w", 10, Long, Cancel);
            Assert.Equal(3, children.Count);

            await Task.WhenAll(children.Select(child => Leases.CompleteAsync(child, "{}", null, Cancel))).WaitAsync(Patience, Cancel);

            var parent = Assert.Single(await Leases.ClaimAsync("w", 10, Long, Cancel));
            Assert.NotNull(parent.OnChildFailure);
            Assert.True(await Leases.CompleteAsync(parent, "{}", null, Cancel));
        }

        Assert.Equal(25, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_job_events WHERE event = 'unblocked'"));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin));
    }

    [Fact]
    public async Task Family_EverythingEndsAtOnce_NobodyWaitsForEver()
    {
        var control = new JobControl(_host.Services.GetRequiredService<TenantDatabase>(), _host.Services.GetRequiredService<JobStore>());
        for (var round = 0; round < 15; round++)
        {
            var parents = new[] { await SubmitAsync(ChildFailures.Fail, 3), await SubmitAsync(ChildFailures.Continue, 3) };
            var children = await Leases.ClaimAsync("w", 4, Long, Cancel);
            await MigratedDatabase.ExecuteAsync(
                _database.Admin,
                "UPDATE llm_jobs SET lease_expires_at = now() - interval '1 s' WHERE state = 'running' AND id::text < '8'");

            // Ends of every kind: one's own, a rescue, a call-off, while leases are renewed.
            await Task.WhenAll(
            [
                Leases.CompleteAsync(children[0], "{}", null, Cancel), Leases.FailAsync(children[1], Error, Cancel),
                Leases.CompleteAsync(children[2], "{}", null, Cancel), Leases.RenewAsync(children, Long, Cancel),
                Leases.RescueAsync(100, 1, Cancel), Leases.RescueAsync(100, 1, Cancel), Leases.ExpireAsync(100, Cancel),
                .. parents.Select(parent => control.CancelAsync(Tenants.Development, parent, (_, _) => Task.CompletedTask, Cancel)),
                Leases.CancelOrphansAsync(100, Cancel),
            ]).WaitAsync(Patience, Cancel);

            // What was busy in that moment is left to the upkeep.
            await Leases.CancelOrphansAsync(100, Cancel);
            Assert.Equal(0, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs WHERE finished_at IS NULL"));
        }

        Assert.Equal(0, await _database.ScalarAsync<long>("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin));
    }

    [Fact]
    public async Task Parent_CalledOffWhileAChildIsBusy_TakesItAlongALittleLater()
    {
        var parent = await SubmitAsync(ChildFailures.Fail, 2);
        var control = new JobControl(_host.Services.GetRequiredService<TenantDatabase>(), _host.Services.GetRequiredService<JobStore>());
        await using (var busy = new NpgsqlConnection(_database.Admin))
        {
            await busy.OpenAsync(Cancel);
            await using var transaction = await busy.BeginTransactionAsync(Cancel);
            await using var hold = new NpgsqlCommand(
                $"""
                 SELECT 1 FROM llm_jobs
                 WHERE id = (SELECT max(id::text)::uuid FROM llm_jobs WHERE parent_id = '{parent}') FOR UPDATE
                 """,
                busy);
            await hold.ExecuteNonQueryAsync(Cancel);

            await control.CancelAsync(Tenants.Development, parent, (_, _) => Task.CompletedTask, Cancel).WaitAsync(Patience, Cancel);

            Assert.Equal("cancelled,queued", await ChildrenAsync(parent));
        }

        Assert.Equal(1, await Leases.CancelOrphansAsync(100, Cancel));
        Assert.Equal("cancelled,cancelled", await ChildrenAsync(parent));
        Assert.Equal(
            "parent_ended",
            await _database.ScalarAsync<string>($"SELECT min(error_code) FROM llm_jobs WHERE parent_id = '{parent}'"));
    }

    [Fact]
    public async Task Parent_DeadlinePassesWhileItWaits_FailsWithItsChildren()
    {
        var parent = await SubmitAsync(ChildFailures.Continue, 2);
        await MigratedDatabase.ExecuteAsync(
            _database.Admin, $"UPDATE llm_jobs SET deadline_at = now() - interval '1 s' WHERE id = '{parent}'");

        Assert.Equal(1, await Leases.ExpireAsync(100, Cancel));

        Assert.Equal(
            "failed deadline_exceeded",
            await _database.ScalarAsync<string>($"SELECT state || ' ' || error_code FROM llm_jobs WHERE id = '{parent}'"));
        Assert.Equal("cancelled,cancelled", await ChildrenAsync(parent));
    }

    [Fact]
    public async Task Child_AddedWhileTheLastOneEnds_IsWaitedForOrRefused()
    {
        for (var round = 0; round < 15; round++)
        {
            var parent = await SubmitAsync(ChildFailures.Fail, 1);
            var last = Assert.Single(await Leases.ClaimAsync("w", 10, Long, Cancel));
            var late = _host.Services.GetRequiredService<JobStore>().SubmitAsync(
                Tenants.Development, [new NewJob("t", null, "{}") { ParentId = parent }], null, null, Cancel);
            await Task.WhenAll(late, Leases.CompleteAsync(last, "{}", null, Cancel)).WaitAsync(Patience, Cancel);

            var next = Assert.Single(await Leases.ClaimAsync("w", 10, Long, Cancel));
            if (await late is Submission.Accepted { Jobs: [var child] })
            {
                Assert.Equal(child.Id, next.Id);
                Assert.True(await Leases.CompleteAsync(next, "{}", null, Cancel));
                next = Assert.Single(await Leases.ClaimAsync("w", 10, Long, Cancel));
            }

            Assert.Equal(parent, next.Id);
            Assert.True(await Leases.CompleteAsync(next, "{}", null, Cancel));
        }
    }

    [Fact]
    public async Task Family_OfAParentWithAUniqueKeyThatIsThere_IsNotSubmittedAgain()
    {
        var first = await SubmitAsync(ChildFailures.Fail, 2, "key");

        Assert.Equal(first, await SubmitAsync(ChildFailures.Fail, 2, "key"));

        Assert.Equal(3, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs"));
    }

    private Task<string> ChildrenAsync(Guid parent) => _database.ScalarAsync<string>(
        $"SELECT string_agg(state, ',' ORDER BY state) FROM llm_jobs WHERE parent_id = '{parent}'");

    private async Task<Guid> SubmitAsync(string onChildFailure, int children, string? uniqueKey = null)
    {
        var parent = new NewJob("t", null, "{}")
        {
            Children = [.. Enumerable.Repeat(new NewJob("t", null, "{}"), children)],
            OnChildFailure = onChildFailure,
            UniqueKey = uniqueKey,
        };
        var submission = await _host.Services.GetRequiredService<JobStore>().SubmitAsync(
            Tenants.Development, [parent], null, null, Cancel);
        return Assert.IsType<Submission.Accepted>(submission).Jobs[0].Id;
    }
}
