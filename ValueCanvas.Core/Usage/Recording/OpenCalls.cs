using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace ValueCanvas.Core.Usage.Recording;

/// <summary>
/// Notes on disk which calls are under way, so that those of a process that died are counted: as written off, at no cost to anybody. Each
/// note is with the system before the call goes out, which a kill of the process survives.
/// </summary>
internal sealed partial class OpenCalls(UsageDirectory directory, UsageMetrics metrics, ILogger<OpenCalls> logger) : IDisposable
{
    private const string Kind = "open";
    private const long LargestFile = 4 * 1024 * 1024;

    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<Guid, byte[]> _open = new();
    private FileStream? _file;
    private bool _failed;

    /// <param name="row">What is known of the call by now.</param>
    public void Open(UsageRow row)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        buffer.Write("+"u8);
        using (var json = new Utf8JsonWriter(buffer))
            JsonSerializer.Serialize(json, row with { Status = CallEnd.WrittenOff.ToName(), Cost = 0 }, UsageRowContext.Default.UsageRow);
        buffer.Write("\n"u8);
        var line = buffer.WrittenSpan.ToArray();
        _open[row.Id] = line;
        Write(line);
    }

    public void Close(Guid id)
    {
        if (_open.TryRemove(id, out _))
            Write(Encoding.ASCII.GetBytes($"-{id:N}\n"));
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
                metrics.Rows(rows.Length, "written_off");
                if (rows.Length > 0)
                    Log.WrittenOff(logger, rows.Length);
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
            (_file, _failed) = (null, true);
        }
    }

    private static UsageRow[] Read(FileStream file)
    {
        var open = new Dictionary<Guid, UsageRow>();
        using var reader = new StreamReader(file, leaveOpen: true);
        while (reader.ReadLine() is { } line)
        {
            try
            {
                if (line is ['+', ..] && JsonSerializer.Deserialize(line.AsSpan(1), UsageRowContext.Default.UsageRow) is { } row)
                    open[row.Id] = row;
                else if (line is ['-', ..] && Guid.TryParse(line.AsSpan(1), out var id))
                    open.Remove(id);
            }
            catch (JsonException)
            {
                // Cut by the crash: that call had not gone out.
            }
        }

        return [.. open.Values];
    }

    private void Write(byte[] line)
    {
        try
        {
            lock (_gate)
            {
                if (_failed)
                    return;
                if (_file is null)
                    _file = directory.Create(Kind);
                else if (_file.Length > LargestFile)
                    Renew();
                _file.Write(line);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _failed = true;
            Log.Failed(logger, exception.GetType().Name);
        }
    }

    /// <summary>A new file with the calls that are still open; the one of before says nothing more.</summary>
    private void Renew()
    {
        var before = _file!;
        _file = directory.Create(Kind);
        foreach (var line in _open.Values)
            _file.Write(line);
        before.Dispose();
        File.Delete(before.Name);
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
