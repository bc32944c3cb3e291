using Aspire.Hosting;
using Aspire.Hosting.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Database.Migrations;

namespace ValueCanvas.LimitsBench;

/// <summary>A PostgreSQL of the benchmark's own, migrated.</summary>
internal sealed class Database : IAsyncDisposable
{
    private const string Password = "benchmark";

    private readonly DistributedApplication _application;
    private readonly string _admin;

    private Database(DistributedApplication application, string admin) => (_application, _admin) = (application, admin);

    /// <summary>As the Api connects.</summary>
    public string App => new NpgsqlConnectionStringBuilder(_admin) { Username = "valuecanvas_app", Password = Password }.ConnectionString;

    public static async Task<Database> StartAsync(CancellationToken cancellationToken)
    {
        var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddPostgres("postgres");
        var application = await builder.BuildAsync(cancellationToken);
        await application.StartAsync(cancellationToken);
        await application.ResourceNotifications.WaitForResourceHealthyAsync("postgres", cancellationToken);
        var server = await application.GetConnectionStringAsync("postgres", cancellationToken);
        var database = new Database(
            application, new NpgsqlConnectionStringBuilder(server) { Database = "postgres", Pooling = false }.ConnectionString);
        await database.MigrateAsync(cancellationToken);
        return database;
    }

    /// <summary>A user with a tenant and a session.</summary>
    public async Task<(Guid Tenant, Guid User, Guid Session)> SignInAsync(CancellationToken cancellationToken)
    {
        var (tenant, user, session) = (Guid.NewGuid(), Guid.NewGuid(), Guid.NewGuid());
        await using var source = NpgsqlDataSource.Create(_admin);
        await using var command = source.CreateCommand(
            $"""
             INSERT INTO tenants (id, name) VALUES ('{tenant}', 'T');
             INSERT INTO users (id, user_name, normalized_user_name, email, normalized_email) VALUES ('{user}', 'u', 'U', 'u', 'U');
             INSERT INTO memberships (tenant_id, user_id, role) VALUES ('{tenant}', '{user}', 'owner');
             INSERT INTO sessions (id, user_id, tenant_id, expires_at) VALUES ('{session}', '{user}', '{tenant}', now() + interval '1 day');
             """);
        await command.ExecuteNonQueryAsync(cancellationToken);
        return (tenant, user, session);
    }

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    private async Task MigrateAsync(CancellationToken cancellationToken)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration["ConnectionStrings:valuecanvas"] = _admin;
        builder.Configuration["Database:AppPassword"] = Password;
        builder.Configuration["Database:OperatorPassword"] = Password;
        builder.Services.AddMetrics();
        builder.AddValueCanvasDatabase();
        builder.AddDatabaseMigrator();
        using var host = builder.Build();
        await host.Services.GetRequiredService<DatabaseMigrator>().MigrateAsync(cancellationToken);
    }
}
