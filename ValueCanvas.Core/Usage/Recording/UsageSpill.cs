using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>Keeps rows on disk while PostgreSQL is away, safe from a crash of the process and of the machine, and brings them in
/// afterwards.</summary>
internal sealed partial class UsageSpill(UsageDirectory directory, UsageTable table, UsageMetrics metrics,
    ILogger<UsageSpill> logger) : IDisposable
{
    private const string Kind = "rows";
    private const int ReplayGroup = 500;

    private readonly Lock _gate = new();
    private FileStream? _file;

    /// <summary>Rows of this process wait on the disk.</summary>
    public bool IsHolding => Volatile.Read(ref _file) is not null;

    /// <summary>When it returns, the rows are on the disk. False where they could not be kept.</summary>
    public bool TryKeep(IReadOnlyCollection<UsageRow> rows)
    {
        if (rows.Count == 0)
            return true;
        using var lines = new MemoryStream();
        foreach (var row in rows)
        {
            JsonSerializer.Serialize(lines, row, UsageRowContext.Default.UsageRow);
            lines.WriteByte((byte)'\n');
        }

        try
        {
            lock (_gate)
            {
                _file ??= directory.Create(Kind);
                _file.Write(lines.GetBuffer().AsSpan(0, (int)lines.Length));
                _file.Flush(flushToDisk: true);
            }

            metrics.Rows(rows.Count, "disk");
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Log.Lost(logger, rows.Count, exception.GetType().Name);
            metrics.Rows(rows.Count, "lost");
            return false;
        }
    }

    /// <summary>Writes what is kept to the database, also what processes have left that died. False where some of it had to stay.</summary>
    public async Task<bool> TryReplayAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            _file?.Dispose();
            _file = null;
        }

        foreach (var file in directory.Abandoned(Kind))
        {
            int count;
            await using (file)
            {
                var rows = await ReadAsync(file, cancellationToken);
                foreach (var group in rows.Chunk(ReplayGroup))
                {
                    if (!await TryWriteAsync([.. group], cancellationToken))
                        return false;
                }

                count = rows.Count;
            }

            // Whoever opened it in between wrote the same rows, which changed nothing.
            File.Delete(file.Name);
            metrics.Rows(count, "replayed");
            if (count > 0)
                Log.Replayed(logger, count);
        }

        return true;
    }

    /// <summary>A row that no table takes must not keep the others waiting: it is put aside, for people to look at.</summary>
    public async Task WriteSinglyAsync(IReadOnlyCollection<UsageRow> rows, CancellationToken cancellationToken)
    {
        foreach (var row in rows)
        {
            try
            {
                await table.WriteAsync([row], cancellationToken);
            }
            catch (Exception exception) when (UsageTable.IsTheirFault(exception))
            {
                Reject(row, exception);
            }
        }
    }

    /// <summary>A row that comes after the end of the service is kept all the same, in a file of its own.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _file?.Dispose();
            _file = null;
        }
    }

    private async Task<bool> TryWriteAsync(List<UsageRow> rows, CancellationToken cancellationToken)
    {
        try
        {
            await table.WriteAsync(rows, cancellationToken);
            return true;
        }
        catch (Exception exception) when (UsageTable.IsTheirFault(exception))
        {
            await WriteSinglyAsync(rows, cancellationToken);
            return true;
        }
        catch (Exception exception) when (UsageTable.IsAway(exception) && !cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private static async Task<List<UsageRow>> ReadAsync(FileStream file, CancellationToken cancellationToken)
    {
        List<UsageRow> rows = [];
        using var reader = new StreamReader(file, leaveOpen: true);
        while (await reader.ReadLineAsync(cancellationToken) is { } line)
        {
            try
            {
                if (JsonSerializer.Deserialize(line, UsageRowContext.Default.UsageRow) is { } row)
                    rows.Add(row);
            }
            catch (JsonException)
            {
                // The last one, cut by a crash: nobody has got the end of that answer.
            }
        }

        return rows;
    }

    private void Reject(UsageRow row, Exception exception)
    {
        Log.Rejected(logger, row.Id, (exception as Npgsql.PostgresException)?.SqlState ?? "");
        metrics.Rows(1, "rejected");
        using var file = directory.Create("rejected");
        file.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(row, UsageRowContext.Default.UsageRow)));
        file.Flush(flushToDisk: true);
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Critical,
            "{Count} usage rows are lost: the database is away, and the disk took them not ({ExceptionType})")]
        public static partial void Lost(ILogger logger, int count, string exceptionType);

        [LoggerMessage(LogLevel.Information, "{Count} usage rows that waited on disk are in the database")]
        public static partial void Replayed(ILogger logger, int count);

        [LoggerMessage(LogLevel.Error, "The usage row {Id} is put aside: the database does not take it ({SqlState})")]
        public static partial void Rejected(ILogger logger, Guid id, string sqlState);
    }
}
