using System.Globalization;
using Aspire.Hosting;
using Aspire.Hosting.Testing;
using Npgsql;

namespace ValueCanvas.GatewayBench.Servers;

/// <summary>A Redis and a PostgreSQL as the application has them, with data that are thrown away.</summary>
internal sealed class DataServers : IAsyncDisposable
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(60);

    private readonly DistributedApplication _application;

    private DataServers(DistributedApplication application, string redis, string postgres)
    {
        _application = application;
        Redis = redis;
        Admin = new NpgsqlConnectionStringBuilder(postgres) { Database = "bench", Pooling = false }.ConnectionString;
    }

    public string Redis { get; }

    /// <summary>As superuser.</summary>
    public string Admin { get; }

    public static async Task<DataServers> StartAsync(CancellationToken cancellationToken)
    {
        var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddRedis("cache");
        builder.AddPostgres("postgres");
        var application = await builder.BuildAsync(cancellationToken);
        await application.StartAsync(cancellationToken).WaitAsync(StartTimeout, TimeProvider.System, cancellationToken);
        foreach (var name in new[] { "cache", "postgres" })
        {
            await application.ResourceNotifications.WaitForResourceHealthyAsync(name, cancellationToken)
                .WaitAsync(StartTimeout, TimeProvider.System, cancellationToken);
        }

        var postgres = await application.GetConnectionStringAsync("postgres", cancellationToken) ?? "";
        await ExecuteAsync(new NpgsqlConnectionStringBuilder(postgres) { Database = "postgres", Pooling = false }.ConnectionString,
            "CREATE DATABASE bench", cancellationToken);
        return new DataServers(application, await application.GetConnectionStringAsync("cache", cancellationToken) ?? "", postgres);
    }

    /// <summary>A number that a statement gives, asked as superuser.</summary>
    public async Task<long> CountAsync(string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(Admin);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToInt64(await command.ExecuteScalarAsync(cancellationToken), CultureInfo.InvariantCulture);
    }

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private static async Task ExecuteAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
