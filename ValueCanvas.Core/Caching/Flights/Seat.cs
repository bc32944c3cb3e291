using ValueCanvas.Core.Inference;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>One who reads along: a request of this instance, or another instance.</summary>
internal sealed class Seat(Flight flight, InferenceCall? call, FlightPart start)
{
    private FlightPart _at = start;
    private long _position;

    public Flight Flight => flight;

    public InferenceCall? Call => call;

    /// <summary>Bytes read so far.</summary>
    public long Position => Volatile.Read(ref _position);

    /// <summary>The next step; behind the end there is none.</summary>
    public async ValueTask<FlightPart> NextAsync(CancellationToken cancellationToken)
    {
        var next = _at.Next;
        var part = next.IsCompletedSuccessfully ? next.Result : await next.WaitAsync(cancellationToken);
        _at = part;
        if (part.Bytes.Length > 0)
        {
            Volatile.Write(ref _position, _position + part.Bytes.Length);
            flight.Moved();
        }

        return part;
    }

    /// <summary>The answer's end was read.</summary>
    public void Finish() => flight.Leave(this, hasRead: true);

    /// <summary>No more is read. May be called again.</summary>
    public void Leave() => flight.Leave(this, hasRead: false);
}
