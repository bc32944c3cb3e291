using ValueCanvas.InferenceProxy.Errors;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Admission;

/// <summary>
/// Gives each request a place at a replica. While places are free that is the picker's choice and nothing else; when all are taken,
/// requests wait in a bounded line for each model, and whoever leaves a replica hands its place to the one whose turn it is.
/// </summary>
internal sealed class AdmissionQueue : BackgroundService
{
    // Things that free no place by themselves, such as a replica that is back, are noticed this soon; so are limits that have passed.
    private static readonly TimeSpan Sweep = TimeSpan.FromMilliseconds(50);

    private readonly Lock _gate = new();
    private readonly WaitingLines _lines = new();
    private readonly HashSet<Replica> _heard = [];
    private readonly Fleet _fleet;
    private readonly ReplicaPicker _picker;
    private readonly AdmissionMetrics _metrics;
    private readonly TimeProvider _time;
    private long _number;

    public AdmissionQueue(Fleet fleet, ReplicaPicker picker, AdmissionMetrics metrics, TimeProvider time)
    {
        (_fleet, _picker, _metrics, _time) = (fleet, picker, metrics, time);
        metrics.Observe(() => _lines.Count);
        Listen();
    }

    /// <summary>Requests that wait for a place.</summary>
    public int Waiting => _lines.Count;

    /// <summary>A place, a refusal, or neither: then no replica is left that could answer. It is the replicas that the target has now, not
    /// those that it had when the request came.</summary>
    public ValueTask<(Placement? Placement, ProxyError? Refused)> PlaceAsync(
        ModelTarget target, InferenceOptions options, in RouteRequest request, List<Replica>? tried, Caller caller,
        CancellationToken cancellationToken)
    {
        if (caller.Deadline is { } deadline && deadline <= _time.GetUtcNow())
        {
            _metrics.Refused(Refusal.Deadline);
            return new((null, ProxyError.DeadlinePassed));
        }

        // Who comes while others wait for the same model stands behind them, even if a place is free at this instant.
        if (_lines.Count == 0 || !HasLine(request.Model))
        {
            if (_picker.Pick(ReplicasOf(target), options, request, tried, out var full) is { } placement)
                return new((placement, null));

            if (!full)
                return default;
        }

        return WaitAsync(target, options, request, tried, caller, cancellationToken);
    }

    /// <summary>A place that is free and that nobody waits for, or null.</summary>
    public Placement? TryPlace(Replica[] replicas, InferenceOptions options, in RouteRequest request, List<Replica> tried) =>
        _lines.Count == 0 ? _picker.Pick(replicas, options, request, tried, out _) : null;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Sweep, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            Listen();
            if (_lines.Count > 0)
            {
                Expire();
                Serve();
            }
        }
    }

    private async ValueTask<(Placement? Placement, ProxyError? Refused)> WaitAsync(
        ModelTarget target, InferenceOptions options, RouteRequest request, List<Replica>? tried, Caller caller,
        CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        var latest = _time.GetUtcNow() + options.Admission.MaxWait;
        var until = caller.Deadline < latest ? caller.Deadline.Value : latest;
        var waiter = new Waiter(target, request, tried, caller, until, Interlocked.Increment(ref _number));
        if (Enter(waiter, options.Admission) is var refusal and not Refusal.None)
        {
            _metrics.Refused(refusal);
            return (null, Error(refusal, target));
        }

        Serve(); // a place may have come free in between
        await using var gone = cancellationToken.UnsafeRegister(_ => End(waiter, Refusal.Gone), null);
        var end = await waiter.End;
        _metrics.Waited(_time.GetElapsedTime(started), end.Refusal);
        if (end.Refusal == Refusal.Gone)
            throw new OperationCanceledException(cancellationToken);

        return (end.Placement, end.Refusal == Refusal.None ? null : Error(end.Refusal, target));
    }

    private Replica[] ReplicasOf(ModelTarget target) => _fleet.Current.Routes.ReplicasOf(target.Provider);

    private bool HasLine(string model)
    {
        lock (_gate)
        {
            return _lines.Has(model);
        }
    }

    private Refusal Enter(Waiter waiter, AdmissionOptions options)
    {
        lock (_gate)
            return _lines.Enter(waiter, options.MaxWaiting);
    }

    /// <summary>Gives places to those whose turn it is, until no line's first can be placed.</summary>
    private void Serve()
    {
        if (_lines.Count == 0)
            return;

        lock (_gate)
        {
            var options = _fleet.Current.Options;
            foreach (var line in _lines.All)
            {
                while (line.Next() is { } next)
                {
                    var placement = _picker.Pick(ReplicasOf(next.Target), options, next.Request, next.Tried, out var full);
                    if (placement is null && full)
                        break;

                    _lines.Leave(next, served: true);
                    next.Serve(placement);
                }
            }
        }
    }

    private void Expire()
    {
        var now = _time.GetUtcNow();
        lock (_gate)
        {
            foreach (var waiter in _lines.All.SelectMany(line => line.All).Where(waiter => waiter.Until <= now).ToArray())
            {
                _lines.Leave(waiter, served: false);
                waiter.Refuse(waiter.Caller.Deadline <= now ? Refusal.Deadline : Refusal.Waited);
            }
        }
    }

    private void End(Waiter waiter, Refusal refusal)
    {
        lock (_gate)
        {
            if (waiter.Waits)
            {
                _lines.Leave(waiter, served: false);
                waiter.Refuse(refusal);
            }
        }
    }

    // Replicas come and go with the configuration; each tells once when somebody has left it.
    private void Listen()
    {
        var replicas = _fleet.Current.Replicas;
        lock (_gate)
        {
            _heard.RemoveWhere(replica => !replicas.Contains(replica) && Unhear(replica));
            foreach (var replica in replicas)
            {
                if (_heard.Add(replica))
                    replica.Load.Room += Serve;
            }
        }

        bool Unhear(Replica replica)
        {
            replica.Load.Room -= Serve;
            return true;
        }
    }

    private ProxyError Error(Refusal refusal, ModelTarget target) => refusal switch
    {
        Refusal.OverShare => ProxyError.TenantBusy(RetryAfter(target)),
        Refusal.Deadline => ProxyError.DeadlinePassed,
        _ => ProxyError.Busy(target.Model, RetryAfter(target)),
    };

    private TimeSpan RetryAfter(ModelTarget target) => WaitEstimate.Of(ReplicasOf(target), target.Model, _lines.Count);
}
