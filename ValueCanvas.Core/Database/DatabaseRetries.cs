using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;
using Npgsql.EntityFrameworkCore.PostgreSQL;

namespace ValueCanvas.Core.Database;

/// <summary>
/// A unit of work that met a lost connection, a deadlock or a restarting server is done again, soon and at most three times. A server that
/// does not answer at all is another matter: each attempt costs the whole timeout, so only those who can wait ask again.
/// </summary>
internal sealed class DatabaseRetries(ExecutionStrategyDependencies dependencies, bool afterTimeouts)
    : NpgsqlRetryingExecutionStrategy(dependencies, maxRetryCount: 3, maxRetryDelay: TimeSpan.FromSeconds(1), errorCodesToAdd: null)
{
    protected override bool ShouldRetryOn(Exception? exception) =>
        (afterTimeouts || !IsTimeout(exception))
        && (DatabaseErrors.IsBrokenConnector(exception) || IsOutdatedStatement(exception) || base.ShouldRetryOn(exception));

    protected override void OnRetry()
    {
        // Such a connection may be kept in the pool: it must not be handed out again.
        if (DatabaseErrors.IsBrokenConnector(ExceptionsEncountered[^1]))
            NpgsqlConnection.ClearPool((NpgsqlConnection)Dependencies.CurrentContext.Context.Database.GetDbConnection());
        base.OnRetry();
    }

    // A migration has given a table more columns than the prepared statement tells of; Npgsql prepares it anew.
    private static bool IsOutdatedStatement(Exception? exception) => exception switch
    {
        PostgresException { SqlState: PostgresErrorCodes.FeatureNotSupported, Routine: "RevalidateCachedQuery" } => true,
        { InnerException: { } inner } => IsOutdatedStatement(inner),
        _ => false,
    };

    private static bool IsTimeout(Exception? exception)
    {
        for (var e = exception; e is not null; e = e.InnerException)
        {
            if (e is TimeoutException)
                return true;
        }

        return false;
    }
}
