using System.Globalization;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using Npgsql;
using ValueCanvas.Tests.Api;

[assembly: AssemblyFixture(typeof(ValueCanvas.Tests.Infrastructure.ServersFixture))]

namespace ValueCanvas.Tests.Infrastructure;

/// <summary>
/// A real Redis and a real PostgreSQL, started once for all tests that take this fixture as a constructor parameter, on free ports, with
/// data that are thrown away. Tests that stop or freeze a server start servers of their own: <see cref="Servers"/>.
/// </summary>
public sealed class ServersFixture : IAsyncLifetime
{
    private readonly SemaphoreSlim _once = new(1, 1);
    private Servers? _servers;
    private string? _template;

    /// <summary>Connection string of Redis.</summary>
    public string Redis => Running.Redis;

    /// <summary>Connection string of PostgreSQL as superuser, with no database named.</summary>
    public string Postgres => Running.Postgres;

    private Servers Running => _servers ?? throw new InvalidOperationException("The servers have not been started.");

    /// <summary>
    /// The connection string, as superuser, of a fresh and empty database whose name begins with <paramref name="name"/>.
    /// </summary>
    public Task<string> CreateDatabaseAsync(string name) => Running.CreateDatabaseAsync(name, TestContext.Current.CancellationToken);

    /// <summary>The same with everything that the migrations make: a copy of one database that was migrated for all tests.</summary>
    public async Task<string> CreateMigratedDatabaseAsync(string name) =>
        await Running.CreateDatabaseAsync(name, TestContext.Current.CancellationToken, await TemplateAsync());

    public async ValueTask InitializeAsync() => _servers = await Servers.StartAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (_servers is not null)
            await _servers.DisposeAsync();
        _once.Dispose();
    }

    private async Task<string> TemplateAsync()
    {
        await _once.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            if (_template is null)
            {
                var admin = await CreateDatabaseAsync("template");
                await ApiDatabase.MigrateAsync(admin);
                _template = new NpgsqlConnectionStringBuilder(admin).Database;
            }

            return _template!;
        }
        finally
        {
            _once.Release();
        }
    }
}

/// <summary>One Redis and, unless a test has no use for it, one PostgreSQL of the test's own.</summary>
public sealed class Servers : IAsyncDisposable
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(60);

    private readonly DistributedApplication _application;

    private Servers(DistributedApplication application, string redis, string postgres)
    {
        _application = application;
        Redis = redis;
        Postgres = postgres;
    }

    /// <summary>Connection string of Redis.</summary>
    public string Redis { get; }

    /// <summary>Connection string of PostgreSQL as superuser, with no database named.</summary>
    public string Postgres { get; }

    public static async Task<Servers> StartAsync(CancellationToken cancellationToken, bool postgres = true)
    {
        var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddRedis("cache");
        if (postgres)
            builder.AddPostgres("postgres");

        var application = await builder.BuildAsync(cancellationToken);
        try
        {
            await application.StartAsync(cancellationToken).WaitAsync(StartTimeout, TimeProvider.System, cancellationToken);
            foreach (var name in postgres ? ["cache", "postgres"] : new[] { "cache" })
            {
                await application.ResourceNotifications.WaitForResourceHealthyAsync(name, cancellationToken)
                    .WaitAsync(StartTimeout, TimeProvider.System, cancellationToken);
            }

            return new Servers(
                application,
                await application.GetConnectionStringAsync("cache", cancellationToken) ?? "",
                postgres ? await application.GetConnectionStringAsync("postgres", cancellationToken) ?? "" : "");
        }
        catch
        {
            await application.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// The connection string, as superuser, of a fresh database whose name begins with <paramref name="name"/>: an empty one, or a copy of
    /// <paramref name="template"/>, to which nobody must be connected.
    /// </summary>
    public async Task<string> CreateDatabaseAsync(string name, CancellationToken cancellationToken, string? template = null)
    {
        var database = string.Create(CultureInfo.InvariantCulture, $"{name}_{Guid.NewGuid():N}");
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(Postgres)
        {
            Database = "postgres",
            Pooling = false,
        }.ConnectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = connection.CreateCommand();
        command.CommandText = $"CREATE DATABASE \"{database}\"" + (template is null ? "" : $" TEMPLATE \"{template}\"");
        await command.ExecuteNonQueryAsync(cancellationToken);
        return new NpgsqlConnectionStringBuilder(Postgres) { Database = database }.ConnectionString;
    }

    public Task StopRedisAsync(CancellationToken cancellationToken) => CommandAsync(
        "cache", KnownResourceCommands.StopCommand, cancellationToken);

    public Task StartRedisAsync(CancellationToken cancellationToken) => StartAsync("cache", cancellationToken);

    public Task StopPostgresAsync(CancellationToken cancellationToken) =>
        CommandAsync("postgres", KnownResourceCommands.StopCommand, cancellationToken);

    public Task StartPostgresAsync(CancellationToken cancellationToken) => StartAsync("postgres", cancellationToken);

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private async Task StartAsync(string name, CancellationToken cancellationToken)
    {
        await CommandAsync(name, KnownResourceCommands.StartCommand, cancellationToken);
        await _application.ResourceNotifications.WaitForResourceHealthyAsync(name, cancellationToken)
            .WaitAsync(StartTimeout, TimeProvider.System, cancellationToken);
    }

    private async Task CommandAsync(string name, string command, CancellationToken cancellationToken)
    {
        var result = await _application.ResourceCommands.ExecuteCommandAsync(name, command, cancellationToken);
        Assert.True(result.Success, $"{command} {name}: {result.Message}");
    }
}
