using StackExchange.Redis;

namespace ValueCanvas.Tests.Infrastructure;

/// <summary>
/// A test's own connection to Redis. It ends at once: the client of native mode would wait a second for the server to say goodbye.
/// </summary>
internal sealed class RedisConnection(ConnectionMultiplexer connection) : IDisposable
{
    public ConnectionMultiplexer Multiplexer => connection;

    public IDatabase Database => connection.GetDatabase();

    /// <summary>For what only an administrator may do, where the connection string says so.</summary>
    public IServer Server => connection.GetServer(connection.GetEndPoints()[0]);

    public static async Task<RedisConnection> OpenAsync(string connectionString) =>
        new(await ConnectionMultiplexer.ConnectAsync(connectionString));

    public void Dispose()
    {
        connection.Close(allowCommandsToComplete: false);
        connection.Dispose();
    }
}
