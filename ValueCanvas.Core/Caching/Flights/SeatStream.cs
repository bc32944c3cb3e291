using System.Runtime.ExceptionServices;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>The bytes of an answer under way, as one of its readers gets them. Whoever stops reading leaves.</summary>
internal sealed class SeatStream(Seat seat) : Stream
{
    private ReadOnlyMemory<byte> _left;
    private FlightPart? _end;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_left.IsEmpty && _end is null && buffer.Length > 0)
        {
            FlightPart part;
            try
            {
                part = await seat.NextAsync(cancellationToken);
            }
            catch
            {
                // Who pays now must be settled before anybody writes down how this reading ended.
                seat.Leave();
                throw;
            }

            _left = part.Bytes;
            if (!part.IsEnd)
                continue;
            _end = part;
            if (part.Failure is null)
                seat.Finish();
            else
                seat.Leave();
        }

        if (_left.IsEmpty && _end?.Failure is { } failure)
            ExceptionDispatchInfo.Throw(failure);
        var read = Math.Min(buffer.Length, _left.Length);
        _left.Span[..read].CopyTo(buffer.Span);
        _left = _left[read..];
        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Answers are read asynchronously.");

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            seat.Leave();
        base.Dispose(disposing);
    }
}
