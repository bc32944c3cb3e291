using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using ValueCanvas.Core.Database.Migrations;

namespace ValueCanvas.Core.Database;

public static class DatabaseExtensions
{
    /// <summary>The connection string that PostgreSQL is found under.</summary>
    public const string ConnectionName = "valuecanvas";

    /// <summary>
    /// Adds PostgreSQL: one <see cref="NpgsqlDataSource"/> that EF Core and raw SQL share, <see cref="TenantDatabase"/>, the health check
    /// <c>database</c>. What the connection string sets (pool size, timeouts) wins over the defaults here.
    /// </summary>
    /// <param name="builder">The host.</param>
    /// <param name="interactive">
    /// True where people wait for the answer: a database that does not answer is given up within 6 s, not waited for and asked again.
    /// </param>
    /// <exception cref="InvalidOperationException">There is no <c>ConnectionStrings:valuecanvas</c>.</exception>
    public static IHostApplicationBuilder AddValueCanvasDatabase(this IHostApplicationBuilder builder, bool interactive = false)
    {
        var connectionString = WithDefaults(
            builder.Configuration.GetConnectionString(ConnectionName) is { Length: > 0 } configured
                ? configured
                : throw new InvalidOperationException(
                    $"ConnectionStrings:{ConnectionName} is missing: set it to PostgreSQL's connection string."),
            builder.Environment.ApplicationName,
            interactive);

        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton(_ => CreateDataSource(connectionString));
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

    private static NpgsqlDataSource CreateDataSource(string connectionString)
    {
        // A statement is traced as part of something: a worker that looks for work would fill the dashboard with traces of nothing else.
        var dataSource = new NpgsqlDataSourceBuilder(connectionString);
        dataSource.ConfigureTracing(tracing => tracing
            .ConfigureCommandFilter(_ => Activity.Current is not null)
            .ConfigureBatchFilter(_ => Activity.Current is not null)
            .EnablePhysicalOpenTracing(false));
        return dataSource.Build();
    }

    private static NpgsqlConnectionStringBuilder Parse(string configured)
    {
        try
        {
            return new NpgsqlConnectionStringBuilder(configured);
        }
        catch (ArgumentException exception)
        {
            throw new InvalidOperationException(
                $"ConnectionStrings:{ConnectionName} is not a connection string such as Host=…;Username=…: {exception.Message}");
        }
    }

    // A dead or silent server is noticed in seconds; connections are renewed hourly, so that a moved server is found again.
    private static string WithDefaults(string configured, string applicationName, bool interactive)
    {
        var settings = Parse(configured);
        SetUnlessConfigured("Application Name", applicationName);
        SetUnlessConfigured("Maximum Pool Size", 20);
        SetUnlessConfigured("Connection Lifetime", 3600);
        SetUnlessConfigured("Timeout", interactive ? 2 : 5);
        SetUnlessConfigured("Command Timeout", interactive ? 2 : 30);
        // A statement that ran out of time costs the command timeout and then twice the other, in which its cancellation is sent (with TLS,
        // then without); -1: the cancellation's answer is not waited for, too.
        SetUnlessConfigured("Cancellation Timeout", interactive ? -1 : 1000);
        SetUnlessConfigured("Keepalive", 15);
        return settings.ConnectionString;

        void SetUnlessConfigured(string keyword, object value)
        {
            if (!settings.ContainsKey(keyword) || !settings.ShouldSerialize(keyword))
                settings[keyword] = value;
        }
    }
}
