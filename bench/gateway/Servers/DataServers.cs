using System.Globalization;
using Aspire.Hosting;
using Aspire.Hosting.Testing;
using Npgsql;

namespace ValueCanvas.GatewayBench.Servers;

/// <summary>A Redis and a PostgreSQL as the application has them, with data that are thrown away at the end.</summary>
internal sealed class DataServers : IAsyncDisposable
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(60);

    private readonly DistributedApplication _application;
    private readonly string? _directory;

    private DataServers(DistributedApplication application, string? directory, string redis, string postgres)
    {
        _application = application;
        _directory = directory;
        Redis = redis;
        Admin = new NpgsqlConnectionStringBuilder(postgres) { Database = "bench", Pooling = false }.ConnectionString;
    }

    public string Redis { get; }

    /// <summary>As superuser.</summary>
    public string Admin { get; }

    /// <summary>PostgreSQL writes as in a test: nothing is forced to the disk.</summary>
    public static async Task<DataServers> StartAsync(CancellationToken cancellationToken)
    {
        var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddRedis("cache");
        builder.AddPostgres("postgres");
        return await StartAsync(await builder.BuildAsync(cancellationToken), null, cancellationToken);
    }

    /// <summary>PostgreSQL writes as in an application that keeps its data: a commit is on the disk.</summary>
    public static async Task<DataServers> StartDurableAsync(CancellationToken cancellationToken)
    {
        // Not in the checkout: PostgreSQL's user may not be able to pass through there.
        var directory = Path.Combine(Path.GetTempPath(), $"valuecanvas-bench-{Guid.NewGuid():N}");
        Environment.SetEnvironmentVariable("VALUECANVAS_DATA", directory);
        var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions { DisableDashboard = true });
        builder.AddRedis("cache");
        builder.AddPostgres("postgres").WithDataVolume();
        return await StartAsync(builder.Build(), directory, cancellationToken);
    }

    private static async Task<DataServers> StartAsync(
        DistributedApplication application, string? directory, CancellationToken cancellationToken)
    {
        await application.StartAsync(cancellationToken).WaitAsync(StartTimeout, TimeProvider.System, cancellationToken);
        foreach (var name in new[] { "cache", "postgres" })
        {
            await application.ResourceNotifications.WaitForResourceHealthyAsync(name, cancellationToken)
                .WaitAsync(StartTimeout, TimeProvider.System, cancellationToken);
        }

        var postgres = await application.GetConnectionStringAsync("postgres", cancellationToken) ?? "";
        await ExecuteAsync(new NpgsqlConnectionStringBuilder(postgres) { Database = "postgres", Pooling = false }.ConnectionString,
            "CREATE DATABASE bench", cancellationToken);
        var cache = await application.GetConnectionStringAsync("cache", cancellationToken) ?? "";
        return new DataServers(application, directory, cache, postgres);
    }

    /// <summary>A number that a statement gives, asked as superuser.</summary>
    public async Task<long> CountAsync(string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(Admin);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToInt64(await command.ExecuteScalarAsync(cancellationToken), CultureInfo.InvariantCulture);
    }

    /// <summary>Statements of any kind, as superuser, bounded by the cancellation alone.</summary>
    public Task ExecuteAsync(string sql, CancellationToken cancellationToken) => ExecuteAsync(Admin, sql, cancellationToken);

    /// <summary>The first row that a query gives, as text.</summary>
    public async Task<string[]> RowAsync(string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(Admin);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken))
            return [];
        var row = new object[reader.FieldCount];
        reader.GetValues(row);
        return [.. row.Select(value => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "")];
    }

    public async ValueTask DisposeAsync()
    {
        await _application.DisposeAsync();
        if (_directory is not null)
            Directory.Delete(_directory, recursive: true);
    }

    private static async Task ExecuteAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
