using System.Buffers;
using ValueCanvas.Core.Inference;
using ValueCanvas.Core.Usage.Metering;
using ValueCanvas.Core.Usage.Recording;

namespace ValueCanvas.Core.Usage;

/// <summary>
/// An answer whose end waits for its row: the last event of a stream, and of any other answer what came last, go out when the row is safe.
/// So whoever has got a whole answer that costs something has it in the books, whatever happens to this process.
/// </summary>
internal sealed class CountedStream(Stream inner, CallEntry entry) : ReadOnlyStream
{
    private const int BufferSize = 16 * 1024;

    private readonly StreamEnd? _end = entry.IsStream ? new StreamEnd() : null;
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
            // First: whoever else reads this answer, and pays for it, is known only then.
            inner.Dispose();
            entry.Leave();
            ArrayPool<byte>.Shared.Return(_buffer);
            (_buffer, _start, _ready, _held, _ended) = ([], 0, 0, 0, true);
        }

        base.Dispose(disposing);
    }

    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        _buffer.AsSpan(_ready, _held - _ready).CopyTo(_buffer);
        (_held, _start, _ready) = (_held - _ready, 0, 0);
        do
        {
            if (_held == _buffer.Length)
                Grow();
            int read;
            try
            {
                read = await inner.ReadAsync(_buffer.AsMemory(_held), cancellationToken);
            }
            catch (Exception exception)
            {
                entry.Break(exception is OperationCanceledException ? CallEnd.Cancelled : CallEnd.Failed);
                throw;
            }

            if (read == 0)
            {
                await entry.CloseAsync(_end is null or { HasCome: true });
                (_ended, _ready) = (true, _held);
                return;
            }

            var waiting = Waiting(_buffer.AsSpan(_held, read));
            _held += read;
            _ready = Math.Max(0, _held - waiting);
        }
        while (_ready == 0);
    }

    /// <summary>How many of the bytes read so far must wait for the row.</summary>
    private int Waiting(ReadOnlySpan<byte> read)
    {
        if (_end is not null)
        {
            entry.Passed(read);
            return _end.Note(read);
        }

        // A small answer goes out in one piece.
        return _held + read.Length < BufferSize ? int.MaxValue : 1;
    }

    private void Grow()
    {
        var larger = ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
        _buffer.AsSpan(0, _held).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
