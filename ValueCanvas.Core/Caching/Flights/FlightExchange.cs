using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;
using ValueCanvas.Core.Caching.Levels;
using ValueCanvas.Core.Redis;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>
/// Lets one instance read along what another asks a model for, step by step, through Redis' messages. A message may be lost: whoever reads
/// says where it stands, once a second, and what is missing is sent again. So nothing is written for calls that nobody follows.
/// </summary>
internal sealed class FlightExchange(
    ResponseCacheOptions options, FlightDirectory flights, StepFormat format, RedisGate gate,
    TimeProvider time, IConnectionMultiplexer? redis)
    : BackgroundService
{
    private const int MostUnread = 4096;

    private static readonly TimeSpan SubscribeBound = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan UntilDone = TimeSpan.FromMilliseconds(50);

    private readonly ConcurrentDictionary<Guid, Channel<ExchangeMessage>> _followed = new();
    private readonly ConcurrentDictionary<(Guid Flight, Guid Reader), FlightSender> _senders = new();
    private CancellationToken _stop = CancellationToken.None;

    public TimeProvider Time => time;

    public ResponseCacheOptions Options => options;

    public StepFormat Format => format;

    /// <summary>It is not there, or does not answer in time; that it was lost is known at once.</summary>
    public bool IsRedisAway => redis is not { IsConnected: true } || gate.IsOpen;

    public Channel<ExchangeMessage> Listen(Guid flight) =>
        _followed.GetOrAdd(
            flight,
            _ => Channel.CreateBounded<ExchangeMessage>(new BoundedChannelOptions(MostUnread) { SingleReader = true }));

    public void Unlisten(Guid flight) => _followed.TryRemove(flight, out _);

    public ValueTask<bool> WantAsync(FlightName there, int number) =>
        TellAsync(there.Instance, new(MessageKind.Want, there.Flight, flights.Instance, number));

    /// <summary>False: Redis did not take it, or nobody listens.</summary>
    public async ValueTask<bool> TellAsync(Guid instance, ExchangeMessage message)
    {
        if (IsRedisAway)
            return false;
        var (heard, _) = await gate.AskAsync(() => redis!.GetDatabase().ExecuteAsync("PUBLISH", ChannelOf(instance), message.ToBytes()));
        return heard is not null && (long)heard > 0;
    }

    /// <summary>
    /// Whoever reads along elsewhere gets the answer to its end first: this instance has no requests of its own any more.
    /// </summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (!IsRedisAway && _senders.Values.Any(sender => !sender.IsDone))
                await Task.Delay(UntilDone, time, cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // It took longer than the end of a service may.
        }

        await base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (redis is null)
            return;
        _stop = stoppingToken;
        try
        {
            // The client remembers it where Redis is away, and makes it when it connects.
            await redis.GetSubscriber()
                .SubscribeAsync(new RedisChannel(ChannelOf(flights.Instance), RedisChannel.PatternMode.Literal), (_, value) => Hear(value))
                .WaitAsync(SubscribeBound, time, stoppingToken);
        }
        catch (Exception e) when (e is TimeoutException or RedisException or OperationCanceledException)
        {
        }
    }

    private string ChannelOf(Guid instance) => $"{options.Prefix}:cache:to:{instance:N}";

    // On a thread of the client's: it must not wait.
    private void Hear(RedisValue value)
    {
        if (ExchangeMessage.Read((byte[]?)value) is not { } message)
            return;
        if (message.Kind != MessageKind.Want)
        {
            // What finds no room is asked for again.
            if (_followed.TryGetValue(message.Flight, out var channel))
                channel.Writer.TryWrite(message);
            return;
        }

        if (_senders.TryGetValue((message.Flight, message.From), out var sender))
            sender.Wanted(message.Number);
        else if (!_stop.IsCancellationRequested)
            Send(message);
    }

    private void Send(ExchangeMessage wanted)
    {
        if (flights.Find(wanted.Flight) is not { } flight || flight.Join(call: null) is not { } seat)
        {
            _ = TellAsync(wanted.From, new(MessageKind.Gone, wanted.Flight, flights.Instance, wanted.Number)).AsTask();
            return;
        }

        var sender = new FlightSender(this, flight, seat, flights.Instance, wanted);
        if (_senders.TryAdd((wanted.Flight, wanted.From), sender))
            _ = RunAsync(sender, (wanted.Flight, wanted.From));
        else
            seat.Leave();
    }

    private async Task RunAsync(FlightSender sender, (Guid, Guid) name)
    {
        try
        {
            await sender.RunAsync(_stop);
        }
        finally
        {
            _senders.TryRemove(name, out _);
        }
    }
}
