using System.Net;
using System.Net.Sockets;

namespace ValueCanvas.InferenceProxy.Providers;

/// <summary>
/// Asks, again and again, which addresses the hosts of own servers have: a name with several (a headless service) is a fleet. New replicas
/// are looked at before they are let in, those that are gone get nothing new, and where the resolver gives no answer all stays as it was.
/// </summary>
internal sealed partial class HostMonitor(
    Fleet fleet, HostResolver resolve, ReplicaProbe probe, TimeProvider time, ILogger<HostMonitor> logger)
    : BackgroundService
{
    private readonly HashSet<string> _unresolved = new(StringComparer.OrdinalIgnoreCase);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await RunOnceAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    public async Task RunOnceAsync(CancellationToken cancellationToken)
    {
        var before = fleet.Current;
        var limit = before.Options.ProbeTimeout;
        var hosts = before.Replicas
            .Where(replica => !replica.Upstream.Kind.IsHosted && replica.Address.HostNameType == UriHostNameType.Dns)
            .Select(replica => replica.Address.IdnHost)
            .Distinct(StringComparer.OrdinalIgnoreCase);
        var answers = await Task.WhenAll(hosts.Select(host => ResolveAsync(host, limit, cancellationToken)));
        if (fleet.With(before, before.Hosts.With(answers)) is { } next)
        {
            await Task.WhenAll(
                next.Replicas.Except(before.Replicas).Select(newcomer => probe.LookAsync(newcomer, limit, cancellationToken)));
            fleet.TryReplace(before, next); // false after a reload in between: the next round finds the same again
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(fleet.Current.Options.ResolveInterval, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
            await RunOnceAsync(stoppingToken);
    }

    private async Task<(string Host, IPAddress[] Found)> ResolveAsync(string host, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var bound = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            var found = await resolve(host, either.Token).WaitAsync(either.Token);
            lock (_unresolved)
            {
                _unresolved.Remove(host);
            }

            return (host, found);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            lock (_unresolved)
            {
                if (_unresolved.Add(host))
                    Log.Unresolved(logger, host);
            }

            return (host, []);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(LogLevel.Warning, "The host {Host} does not resolve: its last known addresses stay")]
        public static partial void Unresolved(ILogger logger, string host);
    }
}
