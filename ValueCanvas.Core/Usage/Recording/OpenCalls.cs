using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>
/// Notes which calls are under way, so that those of a process that died are counted: as written off, at no cost to anybody. The notes are
/// lines of a file that is mapped into memory: what stands there a kill of the process survives, and writing it asks nothing of the system.
/// </summary>
internal sealed partial class OpenCalls(UsageDirectory directory, UsageMetrics metrics, ILogger<OpenCalls> logger) : IDisposable
{
    private const string Kind = "open";

    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<Guid, NoteLine> _open = new();
    private readonly ConcurrentStack<NoteLine> _free = new();
    private NoteFile? _file;
    private bool _failed;

    /// <param name="row">What is known of the call by now.</param>
    public void Open(UsageRow row)
    {
        row = row with { Status = CallEnd.WrittenOff.ToName(), Cost = 0 };
        if (Take() is not { } line)
            return;
        // Names of models are the client's to write, and may be long.
        if (!line.TryWrite(Json(row)) && !line.TryWrite(Json(row with { RequestedModel = null })))
        {
            _free.Push(line);
            return;
        }

        _open[row.Id] = line;
    }

    public void Close(Guid id)
    {
        if (!_open.TryRemove(id, out var line))
            return;
        line.Clear();
        _free.Push(line);
    }

    /// <summary>Makes rows of the calls that processes have left open which died.</summary>
    public void WriteOff(UsageSpill spill)
    {
        foreach (var file in directory.Abandoned(Kind))
        {
            using (file)
            {
                var rows = Read(file);
                if (!spill.TryKeep(rows))
                    return;
                metrics.Rows(rows.Count, "written_off");
                if (rows.Count > 0)
                    Log.WrittenOff(logger, rows.Count);
            }

            File.Delete(file.Name);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _file?.Dispose();
            if (_file is not null && _open.IsEmpty)
                File.Delete(_file.Name);
            _open.Clear();
            _free.Clear();
            (_file, _failed) = (null, true);
        }
    }

    private static byte[] Json(UsageRow row) => JsonSerializer.SerializeToUtf8Bytes(row, UsageRowContext.Default.UsageRow);

    private static List<UsageRow> Read(FileStream file)
    {
        List<UsageRow> rows = [];
        foreach (var json in NoteFile.Read(file))
        {
            try
            {
                if (JsonSerializer.Deserialize(json, UsageRowContext.Default.UsageRow) is { } row)
                    rows.Add(row);
            }
            catch (JsonException)
            {
                // Damaged; the others are not.
            }
        }

        return rows;
    }

    private NoteLine? Take()
    {
        NoteLine? line;
        while (!_free.TryPop(out line))
        {
            if (!TryGrow())
                return null;
        }

        return line;
    }

    private bool TryGrow()
    {
        try
        {
            lock (_gate)
            {
                if (_failed || !_free.IsEmpty)
                    return !_failed;
                _file ??= new NoteFile(directory.Create(Kind));
                _free.PushRange(_file.Grow());
                return true;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _failed = true;
            Log.Failed(logger, exception.GetType().Name);
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "{Count} calls of a process that died are written off")]
        public static partial void WrittenOff(ILogger logger, int count);

        [LoggerMessage(LogLevel.Error,
            "Calls under way are not noted on disk ({ExceptionType}): those of a crash will be missing in the books")]
        public static partial void Failed(ILogger logger, string exceptionType);
    }
}
