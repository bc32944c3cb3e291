namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>Looks at every replica at once, again and again. The first round ends before the server takes requests.</summary>
internal sealed class ReplicaMonitor(Fleet fleet, ReplicaProbe probe, TimeProvider time) : BackgroundService
{
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await RunOnceAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    public Task RunOnceAsync(CancellationToken cancellationToken)
    {
        var topology = fleet.Current;
        return Task.WhenAll(topology.Replicas.Select(r => probe.LookAsync(r, topology.Options.ProbeTimeout, cancellationToken)));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(fleet.Current.Options.ProbeInterval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
            await RunOnceAsync(stoppingToken);
    }
}
