using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;
using ValueCanvas.Core.Health;

namespace ValueCanvas.Core.Database;

/// <summary>
/// A round trip to PostgreSQL through the pool that requests use; answers within 800 ms. A database that nobody has migrated yet is as good
/// as none.
/// </summary>
public sealed class DatabaseHealthCheck : IHealthCheck
{
    private readonly NpgsqlDataSource _dataSource;
    private readonly BoundedProbe _probe;

    public DatabaseHealthCheck(NpgsqlDataSource dataSource, TimeProvider time)
    {
        _dataSource = dataSource;
        _probe = new BoundedProbe(PingAsync, TimeSpan.FromMilliseconds(800), time);
    }

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            await _probe.RunAsync(cancellationToken);
            return HealthCheckResult.Healthy();
        }
        catch (TimeoutException)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, "PostgreSQL does not answer.");
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, "The database has not been migrated yet.", exception);
        }
        catch (NpgsqlException exception)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, "PostgreSQL cannot be reached.", exception);
        }
    }

    private async Task PingAsync(CancellationToken cancellationToken)
    {
        await using var command = _dataSource.CreateCommand("SELECT FROM tenants LIMIT 0");
        command.CommandTimeout = 1;
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
