using System.Buffers;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Usage;

/// <summary>
/// An answer of which some is held back: what was read stands in one buffer, first what may go out, then what may not yet.
/// </summary>
internal abstract class HeldBackStream(Stream inner) : ReadOnlyStream
{
    protected const int BufferSize = 16 * 1024;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
    private int _start; // of what may go out

    /// <summary>The end of what may go out.</summary>
    protected int Ready { get; set; }

    /// <summary>The end of all that was read.</summary>
    protected int Held { get; set; }

    /// <summary>Nothing comes behind what is held.</summary>
    protected bool HasEnded { get; set; }

    /// <summary>Nothing is read any more, and the buffer is given back.</summary>
    protected bool IsDisposed => _buffer.Length == 0;

    protected Span<byte> Bytes => _buffer;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty)
            return 0;
        while (_start == Ready)
        {
            if (HasEnded)
                return 0;
            // What is held back moves to the start.
            _buffer.AsSpan(Ready, Held - Ready).CopyTo(_buffer);
            (Held, _start, Ready) = (Held - Ready, 0, 0);
            await FillAsync(cancellationToken);
        }

        var count = Math.Min(buffer.Length, Ready - _start);
        _buffer.AsMemory(_start, count).CopyTo(buffer);
        _start += count;
        return count;
    }

    /// <summary>Reads on, and says by <see cref="Ready"/> what may go out of it.</summary>
    protected abstract ValueTask FillAsync(CancellationToken cancellationToken);

    /// <summary>Reads what comes next behind what is held, which it does not count yet.</summary>
    protected ValueTask<int> ReadInnerAsync(CancellationToken cancellationToken)
    {
        if (Held == _buffer.Length)
            Grow();
        return inner.ReadAsync(_buffer.AsMemory(Held), cancellationToken);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !IsDisposed)
        {
            inner.Dispose();
            ArrayPool<byte>.Shared.Return(_buffer);
            (_buffer, _start, Ready, Held, HasEnded) = ([], 0, 0, 0, true);
        }

        base.Dispose(disposing);
    }

    private void Grow()
    {
        var larger = ArrayPool<byte>.Shared.Rent(_buffer.Length * 2);
        _buffer.AsSpan(0, Held).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
