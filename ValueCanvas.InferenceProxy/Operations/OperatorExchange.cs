using System.Text.Json;
using StackExchange.Redis;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Resilience;

namespace ValueCanvas.InferenceProxy.Operations;

/// <summary>
/// Brings every proxy to what operators said at any of them, through one hash in Redis that each reads twice a second. It holds nothing
/// that the proxies do not hold: what is lost there they write again, and without Redis each keeps what it was told.
/// </summary>
internal sealed partial class OperatorExchange(
    Fleet fleet, OperatorBoard board, ResilienceSignals signals, TimeProvider time, ILogger<OperatorExchange> logger,
    IConnectionMultiplexer? redis = null) : BackgroundService
{
    private static readonly RedisKey Key = "valuecanvas:inference:operator";
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    // A request of an operator waits so long, the start of the proxy a little longer; a look at a frozen server is given up after the last.
    private static readonly TimeSpan ActionBound = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan StartBound = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LookBound = TimeSpan.FromSeconds(5);

    /// <summary>False where there is no Redis for the proxies to meet at.</summary>
    public bool IsShared => redis is not null;

    /// <summary>Before the first request: a server that is drained gets none from a proxy that just starts.</summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await SyncAsync(StartBound, cancellationToken);
        Follow();
        await base.StartAsync(cancellationToken);
    }

    /// <summary>Follows what was just put on the board. True: the other proxies will have followed within a second.</summary>
    public Task<bool> ShareAsync(CancellationToken cancellationToken)
    {
        Follow();
        return SyncAsync(ActionBound, cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            await SyncAsync(LookBound, stoppingToken);
            Follow();
        }
    }

    private async Task<bool> SyncAsync(TimeSpan bound, CancellationToken cancellationToken)
    {
        if (redis is not { IsConnected: true })
            return false;

        try
        {
            await SyncAsync(redis.GetDatabase()).WaitAsync(bound, time, cancellationToken);
            return true;
        }
        catch (Exception e) when (e is TimeoutException or RedisException)
        {
            Log.Unanswered(logger, e.GetType().Name);
            return false;
        }
    }

    private async Task SyncAsync(IDatabase database)
    {
        // Two proxies that write at the same time may undo each other; whoever knows better writes again when it next looks.
        var theirs = (await database.HashGetAllAsync(Key)).Select(Read).OfType<OperatorAction>();
        var (lacking, forgotten) = board.Exchange(theirs);
        if (lacking.Length > 0)
            await database.HashSetAsync(Key, [.. lacking.Select(action => new HashEntry(action.Subject, Write(action)))]);

        if (forgotten.Length > 0)
            await database.HashDeleteAsync(Key, [.. forgotten.Select(action => (RedisValue)action.Subject)]);
    }

    /// <summary>Does what is on the board and not done yet, also at replicas and models that came later.</summary>
    private void Follow()
    {
        var actions = board.All;
        foreach (var replica in actions.Length == 0 ? [] : fleet.Current.Replicas)
        {
            foreach (var action in actions.Where(action => action.Replica == replica.Name))
            {
                if (!action.IsDrain)
                {
                    foreach (var transition in replica.Breakers.Follow(action))
                        signals.Moved(transition, span: null);
                }
                else if (replica.Load.Draining != (action.Verb == OperatorVerb.Drain))
                {
                    replica.Load.Draining = !replica.Load.Draining;
                    Log.Drained(logger, replica.Name, replica.Load.Draining ? "drained: it gets no new requests" : "open again");
                }
            }
        }
    }

    private static RedisValue Write(OperatorAction action) =>
        JsonSerializer.SerializeToUtf8Bytes(action, OperatorJsonContext.Default.OperatorAction);

    /// <summary>Null for what is no action: a newer version's, or a stranger's.</summary>
    private static OperatorAction? Read(HashEntry entry)
    {
        try
        {
            var action = JsonSerializer.Deserialize((byte[]?)entry.Value, OperatorJsonContext.Default.OperatorAction);
            return action is { Replica: not null } && action.Subject == entry.Name ? action : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Debug, "Redis did not answer ({ExceptionType}): what operators say at other proxies comes later")]
        public static partial void Unanswered(ILogger logger, string exceptionType);

        [LoggerMessage(LogLevel.Information, "Replica {Replica} is {State}")]
        public static partial void Drained(ILogger logger, string replica, string state);
    }
}
