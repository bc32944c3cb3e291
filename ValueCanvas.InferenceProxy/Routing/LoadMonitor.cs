using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>Reads every replica's load at once, again and again.</summary>
internal sealed class LoadMonitor(Fleet fleet, LoadProbe probe, TimeProvider time) : BackgroundService
{
    public Task RunOnceAsync(CancellationToken cancellationToken)
    {
        var topology = fleet.Current;
        return Task.WhenAll(topology.Replicas.Select(r => probe.ReadAsync(r, topology.Options.ProbeTimeout, cancellationToken)));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(fleet.Current.Options.Routing.MetricsInterval, time);
        do
        {
            await RunOnceAsync(stoppingToken);
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }
}
