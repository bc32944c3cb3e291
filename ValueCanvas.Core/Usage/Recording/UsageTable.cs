using System.Text.Json;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using ValueCanvas.Core.Database;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>Writes rows of <c>llm_usage</c> with all that follows from them, in one transaction. A row that is there already changes
/// nothing.</summary>
internal sealed class UsageTable(NpgsqlDataSource database, IOptions<UsageOptions> options, TimeProvider time)
{
    /// <summary>Commits the rows.</summary>
    /// <exception cref="Exception">See <see cref="IsAway"/> and <see cref="IsTheirFault"/>.</exception>
    public async Task WriteAsync(List<UsageRow> rows, CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(options.Value.WriteTimeout, time);
        using var joined = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        await using var command = database.CreateCommand("SELECT record_usage($1)");
        command.Parameters.Add(new()
        {
            Value = JsonSerializer.Serialize(rows, UsageRowContext.Default.ListUsageRow), NpgsqlDbType = NpgsqlDbType.Jsonb,
        });
        await command.ExecuteNonQueryAsync(joined.Token);
    }

    /// <summary>The rows may be written later.</summary>
    public static bool IsAway(Exception exception) =>
        exception is OperationCanceledException or NpgsqlException or TimeoutException or ObjectDisposedException
            or System.Net.Sockets.SocketException or IOException || DatabaseErrors.IsUnavailable(exception);

    /// <summary>The rows themselves cannot be written, now or ever: a value that the table does not take.</summary>
    public static bool IsTheirFault(Exception exception) => exception is PostgresException { SqlState: ['2', '2' or '3', ..] };
}
