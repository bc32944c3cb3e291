using Aspire.Hosting.ApplicationModel;
using Npgsql;

namespace Aspire.Hosting.Postgres;

/// <summary>Opens a connection of its own and asks.</summary>
internal static class PostgresProbe
{
    public static async Task CheckServerAsync(PostgresServerResource server, CancellationToken cancellationToken) =>
        await CheckAsync(await ServerConnectionStringAsync(server, cancellationToken), cancellationToken).ConfigureAwait(false);

    public static async Task CheckDatabaseAsync(PostgresDatabaseResource database, CancellationToken cancellationToken) =>
        await CheckAsync(await ((IValueProvider)database).GetValueAsync(cancellationToken) ?? "", cancellationToken).ConfigureAwait(false);

    public static async Task CreateDatabaseAsync(PostgresDatabaseResource database, CancellationToken cancellationToken)
    {
        await using var connection = Open(await ServerConnectionStringAsync(database.Parent, cancellationToken));
        await connection.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using var exists = new NpgsqlCommand("SELECT 1 FROM pg_database WHERE datname = @name", connection)
        {
            Parameters = { new("name", database.DatabaseName) },
        };
        if (await exists.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is not null)
            return;

        // CREATE DATABASE takes no parameters; the identifier is quoted.
#pragma warning disable CA2100
        var identifier = database.DatabaseName.Replace("\"", "\"\"", StringComparison.Ordinal);
        await using var create = new NpgsqlCommand($"CREATE DATABASE \"{identifier}\"", connection);
#pragma warning restore CA2100
        await create.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    private static async ValueTask<string> ServerConnectionStringAsync(
        PostgresServerResource server, CancellationToken cancellationToken) =>
        await server.GetConnectionStringAsync(cancellationToken).ConfigureAwait(false) + ";Database=postgres";

    private static async Task CheckAsync(string connectionString, CancellationToken cancellationToken)
    {
        await using var connection = Open(connectionString);
        await connection.OpenAsync(cancellationToken).ConfigureAwait(false);
        await using var command = new NpgsqlCommand("SELECT 1", connection);
        await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
    }

    private static NpgsqlConnection Open(string connectionString) => new(new NpgsqlConnectionStringBuilder(connectionString)
    {
        Pooling = false,
        Timeout = 5,
        CommandTimeout = 5,
        GssEncryptionMode = GssEncryptionMode.Disable,
    }.ConnectionString);
}
