using System.Threading.Channels;
using ValueCanvas.Core.Caching.Levels;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>Reads along what another instance asks a model for, into a flight of this one.</summary>
internal sealed class FlightFollower(FlightExchange exchange, RedisLevel level)
{
    private const int MostUnheard = 2;
    private const int MostEarly = 256;

    private static readonly TimeSpan Refresh = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan UntilBack = TimeSpan.FromSeconds(10);

    /// <summary>
    /// True: the answer came, or broke off when a part of it had. False: nothing came of it, and the model can still be asked.
    /// </summary>
    /// <param name="flight">Gets the steps.</param>
    /// <param name="there">Whom to follow.</param>
    /// <param name="onPart">Sees each step before it is passed on.</param>
    public async Task<bool> FollowAsync(Flight flight, FlightName there, Action<FlightPart> onPart)
    {
        var channel = exchange.Listen(there.Flight);
        try
        {
            return await FollowAsync(flight, there, channel.Reader, onPart);
        }
        finally
        {
            exchange.Unlisten(there.Flight);
        }
    }

    private async Task<bool> FollowAsync(Flight flight, FlightName there, ChannelReader<ExchangeMessage> messages, Action<FlightPart> onPart)
    {
        var time = exchange.Time;
        var (next, last, unheard, askedAt, heardAt) = (0, -1, 0, 0L, time.GetTimestamp());
        Dictionary<int, ExchangeMessage> early = [];
        while (true)
        {
            // 1. What has come. The client hands messages to several threads: what comes before its turn is kept.
            while (early.Remove(next, out var message) || messages.TryRead(out message))
            {
                heardAt = time.GetTimestamp();
                if (message.Kind == MessageKind.Gone)
                    return next > 0 && Break(flight);
                last = Math.Max(last, message.Kind == MessageKind.Beat ? message.Number - 1 : message.Number);
                if (message.Kind == MessageKind.Beat || message.Number != next)
                {
                    if (message.Kind == MessageKind.Step && message.Number > next && early.Count < MostEarly)
                        early[message.Number] = message;
                    continue;
                }

                if (exchange.Format.Read(flight, there.Flight, next, message.Content, out var isPaid) is not { } part)
                    return next > 0 && Break(flight);
                next++;
                if (part.IsEnd && !isPaid && await level.ClaimAsync(there.Flight))
                    flight.PayHere();
                onPart(part);
                flight.Add(part);
                if (part.IsEnd)
                    return true;
            }

            // 2. Say where we are: at the start, each second, and where something is missing.
            if (askedAt == 0 || time.GetElapsedTime(askedAt) >= (unheard > 0 || last >= next ? Tick : Refresh))
            {
                askedAt = time.GetTimestamp();
                unheard = await exchange.WantAsync(there, next) ? 0 : unheard + 1;
            }

            // 3. Nobody listens there, or nothing comes for too long: the other is gone; or Redis is. Whoever has nothing yet waits for neither.
            if (next == 0 && unheard >= MostUnheard)
                return false;
            var silence = time.GetElapsedTime(heardAt);
            if (exchange.IsRedisAway ? next == 0 || silence > UntilBack : silence > exchange.Options.FlightSilence)
                return next > 0 && Break(flight);
            await WaitAsync(messages, flight.Stop);
        }
    }

    private async Task WaitAsync(ChannelReader<ExchangeMessage> messages, CancellationToken stop)
    {
        using var tick = new CancellationTokenSource(Tick, exchange.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(tick.Token, stop);
        try
        {
            await messages.WaitToReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
        }
    }

    private static bool Break(Flight flight)
    {
        flight.Add(new FlightPart { IsEnd = true, Failure = new IOException("The answer broke off: the instance that asked for it is gone.") });
        return true;
    }
}
