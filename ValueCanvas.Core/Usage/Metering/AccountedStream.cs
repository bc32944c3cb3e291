using System.Buffers;
using System.Text;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Usage.Metering;

/// <summary>An event stream without the comments that begin with a mark, which the meter gets.</summary>
internal sealed class AccountedStream(Stream inner, string mark, CallMeter meter) : ReadOnlyStream
{
    private const int BufferSize = 16 * 1024;

    private readonly byte[] _mark = Encoding.ASCII.GetBytes($":{mark} ");
    private readonly StreamEnd _end = new();
    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
    private int _start; // of what may go out
    private int _ready; // its end
    private int _held; // the end of all that was read
    private bool _ended;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty)
            return 0;
        while (_start == _ready)
        {
            if (_ended)
                return 0;
            await FillAsync(cancellationToken);
        }

        var count = Math.Min(buffer.Length, _ready - _start);
        _buffer.AsMemory(_start, count).CopyTo(buffer);
        _start += count;
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && _buffer.Length > 0)
        {
            inner.Dispose();
            ArrayPool<byte>.Shared.Return(_buffer);
            (_buffer, _start, _ready, _held, _ended) = ([], 0, 0, 0, true);
        }

        base.Dispose(disposing);
    }

    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        // What is held back stands at the start.
        _buffer.AsSpan(_ready, _held - _ready).CopyTo(_buffer);
        (_held, _start, _ready) = (_held - _ready, 0, 0);
        if (_held == _buffer.Length)
            Grow();
        var read = await inner.ReadAsync(_buffer.AsMemory(_held), cancellationToken);
        _held += read;
        Sort(end: read == 0);
        _end.Note(_buffer.AsSpan(_start, _ready - _start));
        if (read == 0)
        {
            _ended = true;
            meter.Ended(_end.HasCome);
        }
    }

    /// <summary>Takes out the lines of the accounts; what may be the beginning of one waits for the rest.</summary>
    private void Sort(bool end)
    {
        var from = 0;
        while (true)
        {
            var bytes = _buffer.AsSpan(from, _held - from);
            var at = bytes.IndexOf(_mark);
            if (at < 0)
            {
                _ready = end ? _held : _held - BeginningOfMark(bytes);
                return;
            }

            var line = bytes[(at + _mark.Length)..];
            var length = line.IndexOf("\n\n"u8);
            if (length < 0)
            {
                // Of a line that was cut nothing goes out, and what it says is not known.
                _ready = from + at;
                _held = end ? _ready : _held;
                return;
            }

            meter.Told(line[..length]);
            var behind = line[(length + 2)..];
            behind.CopyTo(bytes[at..]);
            _held = from + at + behind.Length;
            from += at;
        }
    }

    private int BeginningOfMark(ReadOnlySpan<byte> bytes)
    {
        for (var length = Math.Min(_mark.Length - 1, bytes.Length); length > 0; length--)
        {
            if (bytes.EndsWith(_mark.AsSpan(0, length)))
                return length;
        }

        return 0;
    }

    private void Grow()
    {
        var larger = ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
        _buffer.AsSpan(0, _held).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
