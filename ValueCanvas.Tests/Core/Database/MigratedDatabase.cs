using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Database.Migrations;
using ValueCanvas.Core.Jobs;
using ValueCanvas.ServiceDefaults.Caching;
using ValueCanvas.Tests.Infrastructure;

namespace ValueCanvas.Tests.Core.Database;

/// <summary>A database of its own on the tests' server, migrated, for one test class.</summary>
public sealed class MigratedDatabase(ServersFixture servers) : IAsyncLifetime
{
    /// <summary>Roles belong to the server, which all classes share, so all use one password; naive quoting breaks it.</summary>
    public const string AppPassword = "it's \"a\" $1 \\ %L; -- ü";

    public const string OperatorPassword = "operator";

    /// <summary>A second tenant, beside the development tenant.</summary>
    public Guid OtherTenant { get; } = Guid.NewGuid();

    /// <summary>As superuser.</summary>
    public string Admin { get; private set; } = "";

    /// <summary>As Api and Worker connect.</summary>
    public string App => As(DatabaseRoles.App, AppPassword);

    public string Operator => As(DatabaseRoles.Operator, OperatorPassword);

    public string Redis { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        Redis = servers.Redis;
        Admin = await CreateAsync();
        await ExecuteAsync(Admin, $"INSERT INTO tenants (id, name) VALUES ('{OtherTenant}', 'Other')");
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>The superuser's connection string of one more database, not migrated.</summary>
    public async Task<string> CreateEmptyAsync() => Unpooled(await servers.CreateDatabaseAsync("data"));

    /// <summary>The same, migrated.</summary>
    public async Task<string> CreateAsync() => Unpooled(await servers.CreateMigratedDatabaseAsync("data"));

    public async Task MigrateAsync(string connectionString, string appPassword = AppPassword, string operatorPassword = OperatorPassword)
    {
        using var host = Build(connectionString, builder =>
        {
            builder.Configuration["Database:AppPassword"] = appPassword;
            builder.Configuration["Database:OperatorPassword"] = operatorPassword;
            builder.AddDatabaseMigrator();
        });
        await host.Services.GetRequiredService<DatabaseMigrator>().MigrateAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>The services of Core, as the application's role; <paramref name="connectionString"/> may lead there another way.</summary>
    public IHost Services(string? connectionString = null) => Build(connectionString ?? App, builder => builder.Services.AddJobQueue());

    public async Task<T> ScalarAsync<T>(string sql, string? connectionString = null)
    {
        await using var connection = new NpgsqlConnection(connectionString ?? Admin);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    public static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    private static string Unpooled(string connectionString) =>
        new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString;

    private string As(string role, string password) =>
        new NpgsqlConnectionStringBuilder(Admin) { Username = role, Password = password }.ConnectionString;

    private IHost Build(string connectionString, Action<HostApplicationBuilder> configure)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ApplicationName = "ValueCanvas.Tests" });
        builder.Configuration["ConnectionStrings:valuecanvas"] =
            new NpgsqlConnectionStringBuilder(connectionString) { Pooling = true }.ConnectionString;
        builder.Configuration["ConnectionStrings:cache"] = Redis;
        builder.Services.AddMetrics();
        builder.AddValueCanvasDatabase();
        builder.AddValueCanvasCache();
        configure(builder);
        return builder.Build();
    }
}
