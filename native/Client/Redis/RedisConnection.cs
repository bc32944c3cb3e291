using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace Aspire.Client;

/// <summary>Opens the connection and says in the log when it is lost and when it is back, as the newer client does by itself.</summary>
internal static partial class RedisConnection
{
    public static ConnectionMultiplexer Open(ConfigurationOptions options, ILoggerFactory loggerFactory)
    {
        var logger = loggerFactory.CreateLogger("StackExchange.Redis");
        var connection = ConnectionMultiplexer.Connect(options);
        // As the newer client, which has no order: else each answer waits until what waited for the one before has come to its next wait.
        connection.PreserveAsyncOrder = false;
        connection.ConnectionFailed += (_, lost) =>
            Log.Lost(logger, lost.EndPoint?.ToString(), lost.ConnectionType, lost.FailureType);
        connection.ConnectionRestored += (_, restored) =>
            Log.Restored(logger, restored.EndPoint?.ToString(), restored.ConnectionType);
        if (!connection.IsConnected)
        {
            Log.NotConnected(logger, string.Join(", ", options.EndPoints));
        }

        return connection;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "No connection to Redis at {EndPoints} yet; it is tried again in the background.")]
        public static partial void NotConnected(ILogger logger, string endPoints);

        [LoggerMessage(2, LogLevel.Warning, "{ConnectionType} connection to Redis at {EndPoint} lost: {FailureType}.")]
        public static partial void Lost(ILogger logger, string? endPoint, ConnectionType connectionType, ConnectionFailureType failureType);

        [LoggerMessage(3, LogLevel.Information, "{ConnectionType} connection to Redis at {EndPoint} restored.")]
        public static partial void Restored(ILogger logger, string? endPoint, ConnectionType connectionType);
    }
}
