using System.Buffers;

namespace ValueCanvas.Core.Caching.Answers;

/// <summary>Cuts the bytes of an event stream into events: the data of each, comments apart.</summary>
internal sealed class EventLines
{
    private readonly ArrayBufferWriter<byte> _line = new(1024);
    private readonly ArrayBufferWriter<byte> _data = new(1024);
    private bool _hasData;
    private bool _endedWithReturn;

    /// <summary>Takes more bytes; calls back for each event and each comment that is whole.</summary>
    public void Add(ReadOnlySpan<byte> bytes, Action<ReadOnlySpan<byte>> onData, Action<ReadOnlySpan<byte>> onComment)
    {
        while (!bytes.IsEmpty)
        {
            if (_endedWithReturn && bytes[0] == '\n')
                bytes = bytes[1..];
            _endedWithReturn = false;
            var end = bytes.IndexOfAny((byte)'\n', (byte)'\r');
            if (end < 0)
            {
                _line.Write(bytes);
                return;
            }

            _endedWithReturn = bytes[end] == '\r';
            if (_line.WrittenCount == 0)
            {
                Line(bytes[..end], onData, onComment);
            }
            else
            {
                _line.Write(bytes[..end]);
                Line(_line.WrittenSpan, onData, onComment);
                _line.ResetWrittenCount();
            }

            bytes = bytes[(end + 1)..];
        }
    }

    /// <summary>The stream is over: an event without its empty line counts, too.</summary>
    public void End(Action<ReadOnlySpan<byte>> onData, Action<ReadOnlySpan<byte>> onComment)
    {
        if (_line.WrittenCount > 0)
            Line(_line.WrittenSpan, onData, onComment);
        _line.ResetWrittenCount();
        Line(default, onData, onComment);
    }

    private void Line(ReadOnlySpan<byte> line, Action<ReadOnlySpan<byte>> onData, Action<ReadOnlySpan<byte>> onComment)
    {
        if (line.IsEmpty)
        {
            if (_hasData)
                onData(_data.WrittenSpan);
            _data.ResetWrittenCount();
            _hasData = false;
        }
        else if (line[0] == ':')
        {
            onComment(line[1..]);
        }
        else if (line.StartsWith("data:"u8))
        {
            if (_hasData)
                _data.Write("\n"u8);
            line = line["data:"u8.Length..];
            _data.Write(!line.IsEmpty && line[0] == ' ' ? line[1..] : line);
            _hasData = true;
        }
    }
}
