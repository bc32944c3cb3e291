using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Jobs;

namespace ValueCanvas.Tests.Core.Database;

public sealed class TenantDatabaseTests(MigratedDatabase database) : IClassFixture<MigratedDatabase>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ExecuteAsync_WorkThrows_NothingIsStored()
    {
        using var host = database.Services();
        var id = Guid.NewGuid();

        await Assert.ThrowsAsync<FormatException>(() => host.Services.GetRequiredService<TenantDatabase>().ExecuteAsync(
            Tenants.Development,
            async (db, ct) =>
            {
                db.Add(NewJob(id));
                await db.SaveChangesAsync(ct);
                throw new FormatException();
            },
            Cancel));

        Assert.Equal(0, await CountAsync(id));
    }

    [Fact]
    public async Task ExecuteAsync_BackendTerminatedDuringTheWork_RunsTheWorkAgain()
    {
        using var host = database.Services();
        var id = Guid.NewGuid();
        var runs = 0;

        await host.Services.GetRequiredService<TenantDatabase>().ExecuteAsync(
            Tenants.Development,
            async (db, ct) =>
            {
                db.Add(NewJob(id));
                if (++runs == 1)
                {
                    var pid = await db.Database.SqlQuery<int>($"SELECT pg_backend_pid() AS \"Value\"").SingleAsync(ct);
                    Assert.True(await database.ScalarAsync<bool>($"SELECT pg_terminate_backend({pid}, 5000)"));
                }
            },
            Cancel);

        Assert.Equal(2, runs);
        Assert.Equal(1, await CountAsync(id));
    }

    [Fact]
    public async Task ExecuteAsync_ConnectionLostBetweenCommitAndItsAnswer_DoesNotRunTheWorkAgain()
    {
        var direct = new NpgsqlConnectionStringBuilder(database.App);
        await using var proxy = new CuttingProxy(direct.Host!, direct.Port);
        direct.Host = "127.0.0.1";
        direct.Port = proxy.Port;
        direct.SslMode = SslMode.Disable;
        using var host = database.Services(direct.ConnectionString);
        var id = Guid.NewGuid();
        var runs = 0;

        var result = await host.Services.GetRequiredService<TenantDatabase>().ExecuteAsync(
            Tenants.Development,
            (db, _) =>
            {
                runs++;
                db.Add(NewJob(id));
                proxy.Arm();
                return Task.FromResult("done");
            },
            Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel);

        Assert.Equal("done", result);
        Assert.Equal(1, proxy.Cuts);
        Assert.Equal(1, runs);
        Assert.Equal(1, await CountAsync(id));
    }

    [Fact]
    public async Task ExecuteAsync_NoServer_FailsSoonAndSaysUnavailable()
    {
        using var host = database.Services("Host=127.0.0.1;Port=1;Username=x;Password=x;Database=x");

        var failure = await Assert.ThrowsAnyAsync<Exception>(() => host.Services.GetRequiredService<TenantDatabase>()
            .ExecuteAsync(Tenants.Development, (_, _) => Task.FromResult(true), Cancel)
            .WaitAsync(TimeSpan.FromSeconds(30), Cancel));

        Assert.True(DatabaseErrors.IsUnavailable(failure), failure.ToString());
    }

    [Fact]
    public async Task IsUnavailable_StatementThatIsWrong_IsFalse()
    {
        var failure = await Assert.ThrowsAsync<PostgresException>(() => MigratedDatabase.ExecuteAsync(database.App, "SELECT nonsense"));

        Assert.False(DatabaseErrors.IsUnavailable(failure));
    }

    [Fact]
    public async Task ExecuteAsync_ConnectionBreaksAsAStatementIsSent_RunsTheWorkAgain()
    {
        using var host = database.Services();
        var runs = 0;

        var result = await host.Services.GetRequiredService<TenantDatabase>().ExecuteAsync(
            Tenants.Development,
            (_, _) => ++runs == 1 ? throw BrokenConnector() : Task.FromResult("done"),
            Cancel);

        Assert.Equal("done", result);
        Assert.Equal(2, runs);
    }

    [Fact]
    public void IsUnavailable_ConnectionBreaksAsAStatementIsSent_IsTrue()
    {
        Assert.True(DatabaseErrors.IsUnavailable(BrokenConnector()));
        Assert.False(DatabaseErrors.IsUnavailable(new ObjectDisposedException("something of ours")));
        Assert.True(DatabaseErrors.IsUnavailable(new TimeoutException { Source = "Npgsql" }));
        Assert.False(DatabaseErrors.IsUnavailable(new TimeoutException()));
    }

    // What Npgsql throws (its issues 6415 and 6506): met when backends are terminated under load.
    private static ObjectDisposedException BrokenConnector() => new(typeof(ManualResetEventSlim).FullName);

    private static Job NewJob(Guid id) => new() { Id = id, TenantId = Tenants.Development, Type = "t", Args = "{}" };

    private Task<long> CountAsync(Guid id) => database.ScalarAsync<long>($"SELECT count(*) FROM llm_jobs WHERE id = '{id}'");
}
