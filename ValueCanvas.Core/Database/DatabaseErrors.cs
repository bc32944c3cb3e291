using System.Net.Sockets;
using Microsoft.EntityFrameworkCore.Storage;
using Npgsql;

namespace ValueCanvas.Core.Database;

/// <summary>Tells a database that is away from a statement that is wrong.</summary>
public static class DatabaseErrors
{
    /// <summary>
    /// True when the database could not be reached, refused the connection, is starting or stopping, or has no resources left: the
    /// same call may succeed later. Answer 503.
    /// </summary>
    public static bool IsUnavailable(Exception exception)
    {
        for (var e = exception; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case PostgresException postgres:
                    return postgres.IsTransient || IsServerState(postgres.SqlState);
                case NpgsqlException or RetryLimitExceededException { InnerException: null }:
                case var _ when IsBrokenConnector(e):
                case TimeoutException or SocketException when !ReferenceEquals(e, exception) || IsNpgsqls(e):
                    return true;
            }
        }

        return false;
    }

    /// <summary>
    /// How Npgsql reports a pooled connection that breaks in the moment in which a statement is about to be sent on it: by the disposed
    /// synchronization object of the connection. Nothing has been sent.
    /// </summary>
    internal static bool IsBrokenConnector(Exception? exception) =>
        exception is ObjectDisposedException { ObjectName: "System.Threading.ManualResetEventSlim" };

    // A connection that waits too long for the first one to learn the server's types says so by a time-out that nothing is wrapped around.
    private static bool IsNpgsqls(Exception exception) => exception.Source == typeof(NpgsqlException).Assembly.GetName().Name;

    // Connection, authorization, missing database, resources, operator intervention, system error.
    private static bool IsServerState(string sqlState) =>
        sqlState is ['0', '8', ..] or ['2', '8', ..] or ['3', 'D', ..] or ['5', '3', ..] or ['5', '7', 'P', ..] or ['5', '8', ..];
}
