using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Database.Migrations;
using ValueCanvas.Tests.Core.Database;

namespace ValueCanvas.Tests.Api;

internal static class ApiDatabase
{
    /// <summary>Migrates an empty database, and gives the connection string of the role that the Api has.</summary>
    public static async Task<string> MigrateAsync(string admin)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ApplicationName = "ValueCanvas.Tests" });
        builder.Configuration["ConnectionStrings:valuecanvas"] = new NpgsqlConnectionStringBuilder(
            admin) { Pooling = false }.ConnectionString;
        // Roles belong to the server, which other tests share: the password must be the same everywhere.
        builder.Configuration["Database:AppPassword"] = MigratedDatabase.AppPassword;
        builder.Configuration["Database:OperatorPassword"] = MigratedDatabase.OperatorPassword;
        builder.Services.AddMetrics();
        builder.AddValueCanvasDatabase();
        builder.AddDatabaseMigrator();
        using var host = builder.Build();
        await host.Services.GetRequiredService<DatabaseMigrator>().MigrateAsync(TestContext.Current.CancellationToken);
        return AsApp(admin);
    }

    /// <summary>The connection string of the role that the Api has, to the same database.</summary>
    public static string AsApp(string admin) =>
        new NpgsqlConnectionStringBuilder(admin) { Username = DatabaseRoles.App, Password = MigratedDatabase.AppPassword }.ConnectionString;
}
