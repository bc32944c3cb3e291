namespace ValueCanvas.InferenceProxy.Autoscaling;

/// <summary>
/// How many replicas the load calls for: as many as the busiest moment of the last while did. So more are wanted at once, and fewer only
/// when fewer have been enough for the whole while; a gap in the traffic costs no replica. The replicas that are there at the start count
/// as needed.
/// </summary>
internal sealed class DesiredReplicas(TimeProvider time)
{
    // The moments that can still be the busiest: each one less busy and later than the one before it.
    private readonly LinkedList<(long At, int Needed)> _busiest = new();
    private bool _started;

    public int Next(FleetLoad load, AutoscaleOptions options)
    {
        var now = time.GetTimestamp();
        var needed = _started ? Needed(load, options) : Math.Max(load.Replicas, Needed(load, options));
        _started = true;
        while (_busiest.Last is { } last && last.Value.Needed <= needed)
            _busiest.RemoveLast();

        _busiest.AddLast((now, needed));
        while (_busiest.First is { } first && time.GetElapsedTime(first.Value.At, now) > options.ScaleDownAfter)
            _busiest.RemoveFirst();

        return Math.Clamp(_busiest.First!.Value.Needed, options.MinReplicas, options.MaxReplicas);
    }

    private static int Needed(FleetLoad load, AutoscaleOptions options)
    {
        var byRequests = (load.Running + load.Waiting + load.QueueDepth) / (double)options.RequestsPerReplica;
        var byCache = load.Replicas * load.KvCacheUsage / options.TargetKvCacheUsage;
        return (int)Math.Ceiling(Math.Min(Math.Max(byRequests, byCache), options.MaxReplicas));
    }
}

/// <summary>The fleet's load at one time: replicas that take requests, requests running and waiting at them, mean KV use (0 to 1), and
/// requests that wait in the proxy.</summary>
internal sealed record FleetLoad(int Replicas, int Running, int Waiting, double KvCacheUsage, int QueueDepth);
