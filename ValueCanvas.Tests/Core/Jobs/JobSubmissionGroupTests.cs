using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Core.Jobs;

/// <summary>Submissions that are committed together. Each test has a database of its own.</summary>
public sealed class JobSubmissionGroupTests(Infrastructure.ServersFixture servers) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly byte[] Fingerprint = [1];

    private readonly MigratedDatabase _database = new(servers);
    private IHost _host = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        _host = _database.Services();
    }

    public async ValueTask DisposeAsync()
    {
        _host.Dispose();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task SubmitAsync_ManyAtOnceOfTwoTenants_EachGetsItsOwnOutcome()
    {
        await LimitAsync(_database.OtherTenant, 10);
        await SubmitAsync(Plain, new("used", [9]));
        var holder = Job(await SubmitAsync(Plain with { UniqueKey = "held" }));

        var plain = Many(12, _ => SubmitAsync(Plain));
        var keyed = Many(12, i => SubmitAsync(Plain, new($"key {i % 4}", Fingerprint)));
        var reused = Many(3, _ => SubmitAsync(Plain, new("used", Fingerprint)));
        var unique = Many(10, _ => SubmitAsync(Plain with { UniqueKey = "once" }));
        var rejected = Many(3, _ => SubmitAsync(Plain with { UniqueKey = "held", OnConflict = JobConflict.Reject }));
        var malformed = SubmitAsync(new NewJob("t", null, "not JSON"), new("malformed", Fingerprint));
        var tooMany = Many(20, _ => SubmitAsync(Plain, tenant: _database.OtherTenant));
        var family = SubmitAsync(Plain with { Children = [Plain, Plain] });
        var replaced = SubmitAsync(Plain with { UniqueKey = "held by none", OnConflict = JobConflict.Replace });

        Assert.Equal(12, (await plain).Select(Job).Distinct().Count());
        Assert.Equal(4, (await keyed).Count(one => one is Submission.Accepted));
        Assert.Equal(4, (await keyed).Select(Job).Distinct().Count());
        Assert.All(await reused, one => Assert.IsType<Submission.KeyReused>(one));
        Assert.Single((await unique).Select(Job).Distinct());
        Assert.Equal(9, (await unique).Count(one => one is Submission.Accepted { Kept.Count: 1 }));
        Assert.All(await rejected, one => Assert.Equal(new Submission.NotUnique(0, holder), one));
        Assert.Equal("22P02", (await Assert.ThrowsAsync<PostgresException>(() => malformed)).SqlState);
        Assert.Equal(10, (await tooMany).Count(one => one is Submission.Accepted));
        Assert.Equal(10, (await tooMany).Count(one => one is Submission.QueueFull { MaxWaiting: 10 }));
        Assert.Equal(3, Assert.IsType<Submission.Accepted>(await family).Jobs.Count);
        await replaced;

        Assert.Equal(2 + 12 + 4 + 1 + 10 + 3 + 1, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs"));
        Assert.Equal(5, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_job_requests"));
        Assert.Equal(10, await _database.ScalarAsync<long>($"SELECT count(*) FROM llm_jobs WHERE tenant_id = '{_database.OtherTenant}'"));
        Assert.Equal(0, await _database.ScalarAsync<long>(
            "SELECT count(*) FROM llm_jobs j JOIN llm_job_events e ON e.job_id = j.id WHERE e.tenant_id <> j.tenant_id"));
        Assert.Empty(await JobHistoryChecker.ViolationsAsync(_database.Admin));
    }

    [Fact]
    public async Task SubmitAsync_BackendsTerminatedInTheMiddleOfGroups_EachIsStoredOnce()
    {
        // Where a tenant's jobs are limited, its groups take turns: whoever has the turn keeps them where they are.
        await LimitAsync(Tenants.Development, 1000);
        await using var turn = new NpgsqlConnection(_database.Admin);
        await turn.OpenAsync(Cancel);
        await using (var transaction = await turn.BeginTransactionAsync(Cancel))
        {
            await using var take = new NpgsqlCommand(
                $"SELECT pg_advisory_xact_lock(hashtextextended('llm_jobs waiting {Tenants.Development}', 0))", turn);
            await take.ExecuteNonQueryAsync(Cancel);
            // Two groups: the first of one, the second of those that have come when it begins.
            var first = SubmitAsync(Plain, new("key 0", Fingerprint));
            await UntilWaitingAsync(1);
            var others = Many(63, i => SubmitAsync(Plain, new($"key {i + 1}", Fingerprint)));
            await UntilWaitingAsync(2);
            Assert.Equal(2, await _database.ScalarAsync<long>($"SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 5000)) {Waiting}"));
            await transaction.RollbackAsync(Cancel);

            Assert.All([await first.WaitAsync(Patience, Cancel), .. await others], one => Assert.IsType<Submission.Accepted>(one));
        }

        Assert.Equal(64, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs"));
        // Those that came meanwhile were stored together.
        Assert.InRange(await _database.ScalarAsync<long>("SELECT count(DISTINCT created_at) FROM llm_jobs"), 1, 16);
        Assert.All(
            await Many(64, i => SubmitAsync(Plain, new($"key {i}", Fingerprint))), one => Assert.IsType<Submission.Replayed>(one));
    }

    [Fact]
    public async Task SubmitAsync_ConnectionLostBetweenCommitAndItsAnswer_IsStoredOnceAndAccepted()
    {
        var direct = new NpgsqlConnectionStringBuilder(_database.App);
        await using var proxy = new CuttingProxy(direct.Host!, direct.Port, "submit_llm_jobs");
        direct.Host = "127.0.0.1";
        direct.Port = proxy.Port;
        direct.SslMode = SslMode.Disable;
        using var host = _database.Services(direct.ConnectionString);
        var store = host.Services.GetRequiredService<JobStore>();

        foreach (var (job, request) in new (NewJob, JobRequest?)[]
        {
            (Plain, null), (Plain, new("key", Fingerprint)), (Plain with { UniqueKey = "once", OnConflict = JobConflict.Reject }, null),
            (Plain with { Children = [Plain] }, null),
        })
        {
            proxy.Arm();
            var submission = await store.SubmitAsync(Tenants.Development, [job], request, null, Cancel).WaitAsync(Patience, Cancel);

            var accepted = Assert.IsType<Submission.Accepted>(submission);
            Assert.Empty(accepted.Kept);
            Assert.Equal(1 + job.Children.Count, accepted.Jobs.Count);
        }

        Assert.Equal(4, proxy.Cuts);
        Assert.Equal(5, await _database.ScalarAsync<long>("SELECT count(*) FROM llm_jobs"));
    }

    // Transactions of this database that wait for a turn.
    private const string Waiting =
        """
        FROM pg_locks
        WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """;

    private async Task UntilWaitingAsync(int transactions)
    {
        using var bound = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        bound.CancelAfter(Patience);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (await _database.ScalarAsync<long>($"SELECT count(*) {Waiting}") < transactions)
            await timer.WaitForNextTickAsync(bound.Token);
    }

    private static NewJob Plain => new("t", null, "{}");

    private static Guid Job(Submission submission) => submission switch
    {
        Submission.Accepted accepted => accepted.Jobs[0].Id,
        Submission.Replayed earlier => earlier.Jobs[0].Id,
        _ => throw new InvalidOperationException($"{submission}"),
    };

    private static Task<Submission[]> Many(int count, Func<int, Task<Submission>> submit) =>
        Task.WhenAll(Enumerable.Range(0, count).Select(submit)).WaitAsync(Patience, Cancel);

    private Task<Submission> SubmitAsync(NewJob job, JobRequest? request = null, Guid? tenant = null) =>
        _host.Services.GetRequiredService<JobStore>().SubmitAsync(tenant ?? Tenants.Development, [job], request, null, Cancel);

    private Task LimitAsync(Guid tenant, int waiting) => MigratedDatabase.ExecuteAsync(
        _database.Admin, $"INSERT INTO llm_job_limits (tenant_id, max_waiting) VALUES ('{tenant}', {waiting})");
}
