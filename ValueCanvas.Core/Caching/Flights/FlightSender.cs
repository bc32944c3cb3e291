namespace ValueCanvas.Core.Caching.Flights;

/// <summary>Sends one flight of this instance to another that follows it, as long as that one says that it does.</summary>
internal sealed class FlightSender(FlightExchange exchange, Flight flight, Seat seat, Guid instance, ExchangeMessage wanted)
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan WhileAway = TimeSpan.FromMilliseconds(100);

    // A reader says each second that it is there; it cannot while Redis is away.
    private static readonly TimeSpan Unwanted = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan UnwantedWhileAway = TimeSpan.FromSeconds(15);

    private readonly List<FlightPart?> _sent = [];
    private volatile bool _isDone;
    private int _from = wanted.Number;
    private long _wantedAt = exchange.Time.GetTimestamp();

    /// <summary>The end was sent, or nobody wants it any more.</summary>
    public bool IsDone => _isDone;

    /// <summary>The reader is there, and has everything before this step. Messages come in any order: it has what it once had.</summary>
    public void Wanted(int number)
    {
        for (var from = Volatile.Read(ref _from); number > from;)
            from = Interlocked.CompareExchange(ref _from, number, from);
        Volatile.Write(ref _wantedAt, exchange.Time.GetTimestamp());
    }

    public async Task RunAsync(CancellationToken stop)
    {
        try
        {
            var (next, seen) = (Volatile.Read(ref _from), Volatile.Read(ref _wantedAt));
            while (!stop.IsCancellationRequested && IsWanted)
            {
                // 1. Told anew where the reader stands: what it lacks goes out again.
                if (Volatile.Read(ref _wantedAt) is var told && told != seen)
                {
                    (next, seen) = (Math.Min(next, Volatile.Read(ref _from)), told);
                    Forget(next);
                }

                // 2. What there is, or a sign of life.
                var isOver = next == _sent.Count && _sent is [.., { IsEnd: true }];
                var part = next < _sent.Count ? _sent[next] : isOver ? null : await NextAsync(stop);
                if (isOver)
                {
                    // All is sent; some of it may have got lost.
                    await Task.Delay(WhileAway, exchange.Time, stop);
                    continue;
                }

                // The reader had a part from an earlier sender: what it has is passed over.
                if (part is not null && next >= _sent.Count)
                    continue;

                var message = part is null
                    ? new ExchangeMessage(MessageKind.Beat, flight.Id, instance, next)
                    : new ExchangeMessage(MessageKind.Step, flight.Id, instance, next, exchange.Format.Write(flight, next, part));
                if (!await exchange.TellAsync(wanted.From, message))
                {
                    await Task.Delay(WhileAway, exchange.Time, stop);
                    continue;
                }

                next += part is null ? 0 : 1;
                if (part is { IsEnd: true })
                {
                    seat.Finish();
                    _isDone = true;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // This service stops; the reader notices.
        }
        finally
        {
            _isDone = true;
            seat.Leave();
        }
    }

    private bool IsWanted
    {
        get
        {
            var silent = exchange.Time.GetElapsedTime(Volatile.Read(ref _wantedAt));
            return silent < (exchange.IsRedisAway ? UnwantedWhileAway : Unwanted);
        }
    }

    // The reader has them.
    private void Forget(int before)
    {
        for (var i = Math.Min(before, _sent.Count - 1) - 1; i >= 0 && _sent[i] is not null; i--)
            _sent[i] = null;
    }

    private async Task<FlightPart?> NextAsync(CancellationToken stop)
    {
        using var beat = new CancellationTokenSource(Beat, exchange.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(beat.Token, stop);
        try
        {
            var part = await seat.NextAsync(either.Token);
            _sent.Add(part);
            return part;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return null;
        }
    }
}
