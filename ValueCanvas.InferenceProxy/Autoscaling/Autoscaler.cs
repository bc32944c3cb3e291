using System.Diagnostics.Metrics;
using ValueCanvas.InferenceProxy.Admission;
using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Telemetry;

namespace ValueCanvas.InferenceProxy.Autoscaling;

/// <summary>Looks at the load every second, and publishes it with the number of replicas that it calls for: as metrics, and to who
/// asks.</summary>
internal sealed class Autoscaler : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly DesiredReplicas _desired;
    private readonly Fleet _fleet;
    private readonly AdmissionQueue _queue;
    private readonly TimeProvider _time;
    private AutoscaleView _last;

    public Autoscaler(Fleet fleet, AdmissionQueue queue, IMeterFactory meters, TimeProvider time)
    {
        (_fleet, _queue, _time, _desired) = (fleet, queue, time, new DesiredReplicas(time));
        _last = Look();
        var meter = meters.Create(InferenceMetrics.MeterName);
        meter.CreateObservableGauge("valuecanvas.inference.fleet.running", () => _last.Running,
            "{request}", "Requests that run at the replicas.");
        meter.CreateObservableGauge("valuecanvas.inference.fleet.waiting", () => _last.Waiting,
            "{request}", "Requests that wait at the replicas.");
        meter.CreateObservableGauge("valuecanvas.inference.fleet.kv_cache_usage", () => _last.KvCacheUsage,
            "1", "Mean use of the replicas' KV caches.");
        meter.CreateObservableGauge("valuecanvas.inference.fleet.replicas", () => _last.Replicas,
            "{replica}", "Replicas that take requests.");
        meter.CreateObservableGauge("valuecanvas.inference.fleet.desired_replicas", () => _last.DesiredReplicas, "{replica}",
            "Replicas that the load calls for.");
    }

    /// <summary>The load now, and what is wanted.</summary>
    public AutoscaleView Look()
    {
        var topology = _fleet.Current;
        var options = topology.Options.Autoscale;
        lock (_gate)
        {
            var load = Load(topology.Replicas);
            var desired = _desired.Next(load, options);
            return _last = new AutoscaleView(
                load.Running, load.Waiting, Math.Round(load.KvCacheUsage, 4), load.QueueDepth, load.Replicas, desired,
                options.MinReplicas, options.MaxReplicas);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
            Look();
    }

    // A replica that tells nothing runs what this proxy sent it.
    private FleetLoad Load(Replica[] replicas)
    {
        var open = Array.FindAll(replicas, replica => replica.State.Status == ReplicaStatus.Up && !replica.Load.Draining);
        var live = Array.FindAll(open, replica => replica.Load.Live is not null);
        return new FleetLoad(
            open.Length,
            open.Sum(replica => replica.Load.Live?.Running ?? replica.InFlight),
            open.Sum(replica => replica.Load.Live?.Waiting ?? 0),
            live.Length == 0 ? 0 : live.Average(replica => replica.Load.Live?.KvCacheUsage ?? 0),
            _queue.Waiting);
    }
}
