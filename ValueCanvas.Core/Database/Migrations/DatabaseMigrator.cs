using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace ValueCanvas.Core.Database.Migrations;

/// <summary>
/// Brings roles, schema and rights to where this build wants them. Safe to run any number of times, also at the same time.
/// </summary>
public sealed partial class DatabaseMigrator(
    NpgsqlDataSource dataSource,
    IServiceScopeFactory scopes,
    IOptions<DatabaseRoleOptions> options,
    TimeProvider time,
    ILogger<DatabaseMigrator> logger)
{
    // 'VCMIGRAT': serialises migrators of one database, roles included.
    private const long AdvisoryLock = 0x56434D4947524154;
    private const int RoleAttempts = 20;
    private static readonly TimeSpan StartBound = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StartPoll = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan StatementBound = TimeSpan.FromMinutes(10);

    /// <summary>Waits up to a minute for a database that is starting, then migrates.</summary>
    /// <exception cref="NpgsqlException">The database stayed away, refused the sign-in, or a statement failed.</exception>
    public async Task MigrateAsync(CancellationToken cancellationToken)
    {
        // 1. One migrator at a time; the lock ends with the connection.
        await using var connection = await OpenWhenStartedAsync(cancellationToken);
        await using (var takeLock = new NpgsqlCommand($"SELECT pg_advisory_lock({AdvisoryLock})", connection))
        {
            takeLock.CommandTimeout = (int)StatementBound.TotalSeconds;
            await takeLock.ExecuteNonQueryAsync(cancellationToken);
        }

        // 2. Roles first: migrations grant to them.
        await EnsureRolesAsync(cancellationToken);

        // 3. The schema, by EF's own migrator and history.
        await using (var scope = scopes.CreateAsyncScope())
        {
            var db = scope.ServiceProvider.GetRequiredService<ValueCanvasDbContext>();
            db.Database.SetCommandTimeout(StatementBound);
            // Asked for before it exists, the history would be reported as a failed statement.
            await db.GetService<IHistoryRepository>().CreateIfNotExistsAsync(cancellationToken);
            var pending = (await db.Database.GetPendingMigrationsAsync(cancellationToken)).Count();
            await db.Database.MigrateAsync(cancellationToken);
            Log.Migrated(logger, pending);
        }

        // 4. Rights on what exists now and on what later migrations will add.
        await DatabaseRoles.GrantAsync(connection, cancellationToken);

        // The connection goes back to the pool, where closing alone would keep the lock.
        await using var unlock = new NpgsqlCommand($"SELECT pg_advisory_unlock({AdvisoryLock})", connection);
        await unlock.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task<NpgsqlConnection> OpenWhenStartedAsync(CancellationToken cancellationToken)
    {
        var startedAt = time.GetTimestamp();
        string? said = null;
        while (true)
        {
            try
            {
                return await dataSource.OpenConnectionAsync(cancellationToken);
            }
            catch (NpgsqlException exception) when (MayBeStarting(exception) && time.GetElapsedTime(startedAt) < StartBound)
            {
                if (said != exception.Message)
                    Log.Waiting(logger, said = exception.Message);
                await Task.Delay(StartPoll, time, cancellationToken);
            }
        }
    }

    // A server that is starting refuses connections, says so (57P03), or has not created the database yet (3D000).
    private static bool MayBeStarting(NpgsqlException exception) =>
        exception is not PostgresException postgres || postgres.SqlState is "57P03" or "3D000" || postgres.IsTransient;

    /// <summary>Roles belong to the server: a migrator of another database on it may be altering them at this moment.</summary>
    private async Task EnsureRolesAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                // Not the connection that holds the lock: the client closes one that met an internal error.
                await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
                await DatabaseRoles.EnsureAsync(connection, options.Value.AppPassword!, options.Value.OperatorPassword!, cancellationToken);
                return;
            }
            catch (PostgresException exception) when (IsConcurrentAlter(exception) && attempt < RoleAttempts)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(20, 200)), time, cancellationToken);
            }
        }
    }

    // "tuple concurrently updated" has no code of its own; creating a role twice at once violates pg_authid's unique index.
    private static bool IsConcurrentAlter(PostgresException exception) =>
        exception.SqlState is PostgresErrorCodes.InternalError or PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DuplicateObject;

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Information, "The database is migrated; {Count} migrations were pending")]
        public static partial void Migrated(ILogger logger, int count);

        [LoggerMessage(LogLevel.Information, "Waiting for the database to start: {Reason}")]
        public static partial void Waiting(ILogger logger, string reason);
    }
}
