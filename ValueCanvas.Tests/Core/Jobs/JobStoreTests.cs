using System.Diagnostics;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Core.Jobs;

public sealed class JobStoreTests(Infrastructure.ServersFixture servers) : QueueTests(servers)
{
    [Fact]
    public async Task EnqueueAsync_Job_IsCommittedWhenItReturns()
    {
        var job = await Store.EnqueueAsync(Tenants.Development, "t", "p", """{"a": 1}""", Cancel);

        Assert.Equal(1, await _database.ScalarAsync<long>($"SELECT count(*) FROM llm_jobs WHERE id = '{job.Id}' AND state = 'queued'"));
        var stored = (await Store.FindAsync(Tenants.Development, job.Id, Cancel))!;
        Assert.Null(stored.Result);
        Assert.Equal(("t", "p", """{"a": 1}"""), (stored.Job.Type, stored.Job.PromptKey, stored.Job.Args));
        Assert.Equal(stored.Job.CreatedAt, job.CreatedAt);
        Assert.NotEqual(default, job.RunAt);
    }

    [Fact]
    public async Task EnqueueAsync_InATrace_StoresItsContext()
    {
        using var request = new Activity("request").SetIdFormat(ActivityIdFormat.W3C).Start();

        var job = await Store.EnqueueAsync(Tenants.Development, "t", null, "{}", Cancel);

        Assert.StartsWith($"00-{request.TraceId}-", job.TraceParent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FindAsync_JobOfAnotherTenant_IsNull()
    {
        var job = await Store.EnqueueAsync(Tenants.Development, "t", null, "{}", Cancel);

        Assert.Null(await Store.FindAsync(_database.OtherTenant, job.Id, Cancel));
    }

    [Fact]
    public async Task ListAsync_PageByPage_ShowsEveryJobOnceNewestFirst()
    {
        // In one transaction all have the same time, and only the id tells them apart.
        await MigratedDatabase.ExecuteAsync(
            _database.Admin,
            $$"""
              INSERT INTO llm_jobs (id, tenant_id, type, args)
              SELECT gen_random_uuid(), '{{Tenants.Development}}', 't', '{}' FROM generate_series(1, 5)
              """);
        await Store.EnqueueAsync(Tenants.Development, "newest", null, "{}", Cancel);

        var pages = new List<IReadOnlyList<Job>>();
        Guid? after = null;
        while (await Store.ListAsync(Tenants.Development, JobFilter.None, after, 2, Cancel) is { Count: > 0 } page)
        {
            pages.Add(page);
            after = page[^1].Id;
        }

        Assert.Equal([2, 2, 2], pages.Select(page => page.Count));
        var all = pages.SelectMany(page => page).ToList();
        Assert.Equal("newest", all[0].Type);
        Assert.Equal(6, all.Select(job => job.Id).Distinct().Count());
    }

    [Fact]
    public async Task ListAsync_AfterAJobThatIsNotThere_IsNull() =>
        Assert.Null(await Store.ListAsync(Tenants.Development, JobFilter.None, Guid.NewGuid(), 2, Cancel));

    [Fact]
    public async Task ListAsync_OfOneState_ShowsNoOther()
    {
        await Store.EnqueueAsync(Tenants.Development, "t", null, "{}", Cancel);

        Assert.Single((await Store.ListAsync(Tenants.Development, new() { State = JobState.Queued }, null, 10, Cancel))!);
        Assert.Empty((await Store.ListAsync(Tenants.Development, new() { State = JobState.Failed }, null, 10, Cancel))!);
    }

    [Fact]
    public async Task CountAsync_SomeJobs_CountsTheTenantsOwnByState()
    {
        var none = await Store.CountAsync(Tenants.Development, Cancel);
        Assert.Null(none.OldestWait);
        Assert.Equal(Enum.GetValues<JobState>().Length, none.ByState.Count);

        await Store.EnqueueAsync(_database.OtherTenant, "t", null, "{}", Cancel);
        await Store.EnqueueAsync(Tenants.Development, "t", null, "{}", Cancel);
        await MigratedDatabase.ExecuteAsync(
            _database.Admin, $"UPDATE llm_jobs SET run_at = now() - interval '90 s' WHERE tenant_id = '{Tenants.Development}'");

        var counts = await Store.CountAsync(Tenants.Development, Cancel);
        Assert.Equal(1, counts.ByState[JobState.Queued]);
        Assert.Equal(0, counts.ByState[JobState.Running]);
        Assert.InRange(counts.OldestWait!.Value, TimeSpan.FromSeconds(90), TimeSpan.FromSeconds(150));
    }
}
