using Npgsql;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Native;

public sealed class ServersTests
{
    [Fact]
    public async Task Postgres_StoppedAndStarted_KeepsItsDataAndAddress()
    {
        var cancellationToken = TestContext.Current.CancellationToken;
        await using var servers = await Servers.StartAsync(cancellationToken);
        var database = new NpgsqlConnectionStringBuilder(await servers.CreateDatabaseAsync("kept", cancellationToken)) { Pooling = false };
        await ExecuteAsync(database.ConnectionString, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)", cancellationToken);

        await servers.StopPostgresAsync(cancellationToken);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => ExecuteAsync(database.ConnectionString, "SELECT 1", cancellationToken));
        await servers.StartPostgresAsync(cancellationToken);

        Assert.Equal(7, await ExecuteAsync(database.ConnectionString, "SELECT id FROM kept", cancellationToken));
    }

    private static async Task<object?> ExecuteAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return await command.ExecuteScalarAsync(cancellationToken);
    }
}
