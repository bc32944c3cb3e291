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

    /// <summary>How it went; a part of the answer that came is in the flight.</summary>
    /// <param name="flight">Gets the steps.</param>
    /// <param name="there">Whom to follow.</param>
    /// <param name="canGoOn">Whether the answer can be gone on with otherwise: Redis is not waited for then.</param>
    /// <param name="onPart">Sees each step before it is passed on.</param>
    public async Task<Followed> FollowAsync(Flight flight, FlightName there, Func<bool> canGoOn, Action<FlightPart> onPart)
    {
        var channel = exchange.Listen(there.Flight);
        try
        {
            return await FollowAsync(flight, there, channel.Reader, canGoOn, onPart);
        }
        finally
        {
            exchange.Unlisten(there.Flight);
        }
    }

    private async Task<Followed> FollowAsync(
        Flight flight, FlightName there, ChannelReader<ExchangeMessage> messages, Func<bool> canGoOn, Action<FlightPart> onPart)
    {
        var time = exchange.Time;
        var (next, last, unheard, askedAt, heardAt) = (0, -1, 0, 0L, time.GetTimestamp());
        long? lacksSince = null;
        Dictionary<int, ExchangeMessage> early = [];
        // What is no stream comes at once, so nobody waits longer where it is passed on only when it is whole; and then it cannot break
        // off. Nor can a stream until it has said something: before that nobody knows whose it was.
        List<FlightPart>? held = [];
        while (true)
        {
            // 1. What has come. The client hands messages to several threads: what comes before its turn is kept.
            while (early.Remove(next, out var message) || messages.TryRead(out message))
            {
                heardAt = time.GetTimestamp();
                if (message.Kind == MessageKind.Gone)
                    return Lost();
                last = Math.Max(last, message.Kind == MessageKind.Beat ? message.Number - 1 : message.Number);
                if (message.Kind == MessageKind.Beat || message.Number != next)
                {
                    if (message.Kind == MessageKind.Step && message.Number > next && early.Count < MostEarly)
                        early[message.Number] = message;
                    continue;
                }

                if (exchange.Format.Read(flight, there.Flight, next, message.Content, out var isPaid) is not { } part)
                    return Lost();
                next++;
                if (part.IsEnd && !isPaid && await level.ClaimAsync(there.Flight))
                    flight.PayHere();
                onPart(part);
                if (held is null)
                {
                    flight.Add(part);
                }
                else
                {
                    held.Add(part);
                    if (part.IsEnd || (flight.Mode.IsStream && part.Bytes.Length > 0))
                    {
                        held.ForEach(flight.Add);
                        held = null;
                    }
                }

                if (part.IsEnd)
                    return Followed.Whole;
            }

            // 2. Say where we are: at the start, each second, and where something is missing that is not just behind what came after it.
            lacksSince = unheard == 0 && last < next ? null : lacksSince ?? time.GetTimestamp();
            var isMissing = lacksSince is { } since && time.GetElapsedTime(since) >= Tick;
            if (askedAt == 0 || time.GetElapsedTime(askedAt) >= (isMissing ? Tick : Refresh))
            {
                askedAt = time.GetTimestamp();
                unheard = await exchange.WantAsync(there, next) ? 0 : unheard + 1;
                lacksSince = unheard > 0 ? lacksSince ?? askedAt : lacksSince;
            }

            // 3. Nobody listens there, or nothing comes for too long: the other is gone; or Redis is.
            // Whoever has nothing yet waits for neither.
            if (next == 0 && unheard >= MostUnheard)
                return Followed.Nothing;
            var silence = time.GetElapsedTime(heardAt);
            if (exchange.IsRedisAway
                ? Lost() == Followed.Nothing || canGoOn() || silence > UntilBack
                : silence > exchange.Options.FlightSilence)
                return Lost();
            await WaitAsync(messages, flight.Stop);
        }

        Followed Lost() => held is not null ? Followed.Nothing : Followed.Part;
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
}

internal enum Followed
{
    /// <summary>It came to its end, well or not.</summary>
    Whole,

    /// <summary>It broke off when a part of it had come.</summary>
    Part,

    /// <summary>Nothing was passed on: the model can be asked as if nobody had.</summary>
    Nothing,
}
