using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using ValueCanvas.Core.Database.Migrations;

namespace ValueCanvas.Core.Database;

public static class DatabaseExtensions
{
    /// <summary>The connection string that PostgreSQL is found under.</summary>
    public const string ConnectionName = "valuecanvas";

    /// <summary>
    /// Adds PostgreSQL: one <see cref="NpgsqlDataSource"/> that EF Core and raw SQL share, <see cref="TenantDatabase"/>, the health check
    /// <c>database</c>, a log of slow statements. What the connection string sets wins over the section <c>Database</c> and its defaults.
    /// </summary>
    /// <param name="builder">The host.</param>
    /// <param name="interactive">
    /// True where people wait for the answer: a database that does not answer is given up within 6 s, not waited for and asked again.
    /// </param>
    /// <exception cref="InvalidOperationException">
    /// There is no <c>ConnectionStrings:valuecanvas</c>, or a setting makes no sense; the message names it.
    /// </exception>
    public static IHostApplicationBuilder AddValueCanvasDatabase(this IHostApplicationBuilder builder, bool interactive = false)
    {
        var (connectionString, database) = DatabaseConnections.Read(builder.Configuration, builder.Environment, interactive);

        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton(services => CreateDataSource(connectionString, services, database.SlowQuery));
        builder.Services.AddDbContextPool<ValueCanvasDbContext>(
            (services, options) => options.UseValueCanvasDatabase(services, interactive));
        builder.EnrichNpgsqlDbContext<ValueCanvasDbContext>(settings => settings.DisableHealthChecks = true);

        builder.Services.AddSingleton<TenantDatabase>();
        builder.Services.AddSingleton<DatabaseHealthCheck>();
        builder.Services.AddHealthChecks().AddCheck<DatabaseHealthCheck>("database", HealthStatus.Unhealthy);
        return builder;
    }

    /// <summary>
    /// Has a context use the one <see cref="NpgsqlDataSource"/>, and retry as the tenants' units of work do: a transaction has to be begun
    /// within <c>Database.CreateExecutionStrategy()</c>.
    /// </summary>
    public static DbContextOptionsBuilder UseValueCanvasDatabase(
        this DbContextOptionsBuilder options, IServiceProvider services, bool interactive) => options
            .UseNpgsql(
                services.GetRequiredService<NpgsqlDataSource>(),
                npgsql => npgsql.ExecutionStrategy(dependencies => new DatabaseRetries(dependencies, afterTimeouts: !interactive)))
            .ConfigureWarnings(warnings => warnings.Log((RelationalEventId.CommandExecuted, LogLevel.Debug)));

    /// <summary>Adds <see cref="DatabaseMigrator"/>, for the one process that migrates.</summary>
    public static IHostApplicationBuilder AddDatabaseMigrator(this IHostApplicationBuilder builder)
    {
        builder.Services.AddOptions<DatabaseRoleOptions>()
            .Bind(builder.Configuration.GetSection(DatabaseRoleOptions.Section))
            .Validate(
                options => options.AppPassword is { Length: > 0 },
                $"{DatabaseRoleOptions.Section}:{nameof(DatabaseRoleOptions.AppPassword)} is missing: "
                + $"set the password of {DatabaseRoles.App}.")
            .Validate(
                options => options.OperatorPassword is { Length: > 0 },
                $"{DatabaseRoleOptions.Section}:{nameof(DatabaseRoleOptions.OperatorPassword)} is missing: "
                + $"set the password of {DatabaseRoles.Operator}.")
            .ValidateOnStart();
        builder.Services.AddSingleton<DatabaseMigrator>();
        return builder;
    }

    private static NpgsqlDataSource CreateDataSource(string connectionString, IServiceProvider services, TimeSpan slowQuery)
    {
        var dataSource = new NpgsqlDataSourceBuilder(connectionString)
        {
            // What its metrics call the pool; else they would name host and user.
            Name = ConnectionName,
        };
        if (services.GetService<IMeterFactory>() is { } meters)
        {
            var log = services.GetService<ILogger<SlowQueries>>() ?? NullLogger<SlowQueries>.Instance;
            dataSource.UseLoggerFactory(new SlowQueries(slowQuery, log, meters));
        }

        // A statement is traced as part of something: a worker that looks for work would fill the dashboard with traces of nothing else.
        dataSource.ConfigureTracing(tracing => tracing
            .ConfigureCommandFilter(_ => Activity.Current is not null)
            .ConfigureBatchFilter(_ => Activity.Current is not null)
            .EnablePhysicalOpenTracing(false));
        return dataSource.Build();
    }
}
