using System.Runtime.ExceptionServices;
using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>The bytes of an answer under way, as one of its readers gets them. Whoever stops reading leaves.</summary>
internal sealed class SeatStream(Seat seat) : ReadOnlyStream
{
    private ReadOnlyMemory<byte> _left;
    private FlightPart? _end;

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

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            seat.Leave();
        base.Dispose(disposing);
    }
}
