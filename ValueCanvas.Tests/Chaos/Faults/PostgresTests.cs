using Npgsql;
using ValueCanvas.Tests.Chaos.Fleet;

namespace ValueCanvas.Tests.Chaos.Faults;

public sealed class PostgresTests(ChaosFleet fleet) : FaultTest(fleet)
{
    [Fact, Trait("fault", "postgres-restarted")]
    public Task Postgres_RestartedUnderLoad_LosesNoJob() => UnderAsync("PostgreSQL restarted", async () =>
    {
        for (var i = 0; i < Math.Max(1, Size.Times / 3); i++)
        {
            await Fleet.Servers.StopPostgresAsync(Cancel);
            await Fleet.Servers.StartPostgresAsync(Cancel);
            await Fleet.Database.MoreAsync(5);
        }
    });

    [Fact, Trait("fault", "backends-terminated")]
    public Task Backends_TerminatedOneAfterAnother_LoseNoJob() => UnderAsync("backends terminated one after another", () => ForAsync(
        Size.Fault,
        () => Fleet.Database.ExecuteAsync(
            """
            SELECT pg_terminate_backend(pid) FROM (
                SELECT pid FROM pg_stat_activity
                WHERE usename = 'valuecanvas_app' AND datname = current_database() ORDER BY random() LIMIT 1) AS victim
            """)));

    [Fact, Trait("fault", "connections-used-up")]
    public Task Connections_UsedUp_LoseNoJob() => UnderAsync("PostgreSQL takes no more connections", async () =>
    {
        await Fleet.Database.ExecuteAsync(
            """
            ALTER ROLE valuecanvas_app CONNECTION LIMIT 1;
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'valuecanvas_app' AND datname = current_database()
            """);
        try
        {
            await Task.Delay(Size.Fault, TimeProvider.System, Cancel);
        }
        finally
        {
            await Fleet.Database.ExecuteAsync("ALTER ROLE valuecanvas_app CONNECTION LIMIT -1");
        }
    });

    /// <summary>Every statement about jobs waits, and more clients come than there are connections.</summary>
    [Fact, Trait("fault", "pool-exhausted")]
    public Task Pools_Exhausted_LoseNoJob() => UnderAsync("connection pools exhausted", async () =>
    {
        await using var connection = new NpgsqlConnection(Fleet.Database.Admin);
        await connection.OpenAsync(Cancel);
        Task[] more;
        await using (var transaction = await connection.BeginTransactionAsync(Cancel))
        {
            await using var take = new NpgsqlCommand("LOCK TABLE llm_jobs IN ACCESS EXCLUSIVE MODE", connection);
            await take.ExecuteNonQueryAsync(Cancel);
            more = [.. Enumerable.Range(0, 2 * ChaosFleet.ApiConnections).Select(_ => Fleet.Load.SubmitAsync(Cancel))];
            await Task.Delay(Size.Fault, TimeProvider.System, Cancel);
            await transaction.RollbackAsync(Cancel);
        }

        await Task.WhenAll(more).WaitAsync(TimeSpan.FromSeconds(60), Cancel);
    });
}
