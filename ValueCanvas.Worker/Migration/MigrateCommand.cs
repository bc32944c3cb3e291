using Microsoft.Extensions.Options;
using ValueCanvas.Core.Database;
using ValueCanvas.Core.Database.Migrations;

namespace ValueCanvas.Worker.Migration;

/// <summary><c>migrate</c>: brings the database up to date and exits, 0 when it is, with one line that says why when it is not.</summary>
internal static partial class MigrateCommand
{
    public const string Name = "migrate";

    public static async Task<int> RunAsync(string[] args)
    {
        // 1. A host of its own: no endpoints, no queue, but the same configuration and telemetry.
        var builder = Host.CreateApplicationBuilder(args);
        builder.AddServiceDefaults();
        try
        {
            builder.AddValueCanvasDatabase();
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException)
        {
            await Console.Error.WriteLineAsync($"{Name}: {exception.Message}");
            return 1;
        }

        builder.AddDatabaseMigrator();
        using var host = builder.Build();
        var logger = host.Services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(MigrateCommand).FullName!);

        // 2. Ctrl+C and SIGTERM end it; the host flushes telemetry when it stops.
        var cancellationToken = host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        try
        {
            await host.StartAsync(CancellationToken.None);
            await host.Services.GetRequiredService<DatabaseMigrator>().MigrateAsync(cancellationToken);
            return 0;
        }
        catch (OptionsValidationException exception)
        {
            Log.Misconfigured(logger, exception.Message);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Log.Interrupted(logger);
        }
        catch (Exception exception) when (DatabaseErrors.IsUnavailable(exception))
        {
            Log.Unavailable(logger, exception.GetBaseException().Message);
        }
        catch (Exception exception)
        {
            Log.Failed(logger, exception);
        }
        finally
        {
            await host.StopAsync(CancellationToken.None);
        }

        return 1;
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Error, "The database is not migrated, the configuration is incomplete: {Reason}")]
        public static partial void Misconfigured(ILogger logger, string reason);

        [LoggerMessage(LogLevel.Error, "The database is not migrated: stopped before the end")]
        public static partial void Interrupted(ILogger logger);

        [LoggerMessage(LogLevel.Error, "The database is not migrated, PostgreSQL cannot be used: {Reason}")]
        public static partial void Unavailable(ILogger logger, string reason);

        [LoggerMessage(LogLevel.Error, "The database is not migrated")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
