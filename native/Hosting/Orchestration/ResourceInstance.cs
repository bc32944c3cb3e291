using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.Orchestration;

/// <summary>One resource, or one replica of it, in this run: starts, watches and stops it. What ends by itself stays down.</summary>
/// <remarks><c>prepare</c> makes all ready and gives the process to start, if any; it is told whether this is the first start.</remarks>
internal sealed class ResourceInstance(
    IResource resource, string id, IReadOnlyDictionary<string, int> ports, Func<bool, CancellationToken, Task<ProcessCommand?>> prepare,
    ProcessLauncher launcher, ResourceNotificationService notifications, ConsoleLog log) : IDisposable
{
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan EagerProbeInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan ProbeInterval = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan KilledPatience = TimeSpan.FromMilliseconds(500);

    private readonly HealthProbeAnnotation[] _probes = [.. resource.Annotations.OfType<HealthProbeAnnotation>()];
    private readonly SemaphoreSlim _gate = new(1, 1);
    private bool _startedBefore;
    private ChildProcess? _child;
    private CancellationTokenSource? _running;
    private Task _life = Task.CompletedTask;

    public IResource Resource => resource;

    public string Id => id;

    /// <summary>Its own, by endpoint.</summary>
    public IReadOnlyDictionary<string, int> Ports => ports;

    public void Announce(string state) => Publish(s => s with { State = state, HealthStatus = null });

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_running is not null && !await HasJustEndedAsync().ConfigureAwait(false))
                throw new DistributedApplicationException($"'{id}' runs already.");

            await _life.ConfigureAwait(false);
            Publish(s => s with { State = KnownResourceStates.Starting, ExitCode = null, HealthStatus = null, Problem = null });
            var command = await prepare(!_startedBefore, cancellationToken).ConfigureAwait(false);
            _startedBefore = true;
            _child = command is null
                ? null
                : await ChildProcess.StartAsync(launcher, command, line => log.Line(id, line)).ConfigureAwait(false);

            _running = new CancellationTokenSource();
            Publish(s => s with
            {
                State = KnownResourceStates.Running,
                HealthStatus = _probes.Length == 0 ? HealthStatus.Healthy : HealthStatus.Unhealthy,
            });
            _life = LiveAsync(_child, _running);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            Publish(s => s with { State = KnownResourceStates.FailedToStart, Problem = e.Message });
            throw e as DistributedApplicationException ?? new DistributedApplicationException($"'{id}' cannot be started: {e.Message}", e);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>Asks it to end, and ends it where that takes longer.</summary>
    public async Task StopAsync(TimeSpan patience)
    {
        await _gate.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_running is not { } running)
                return;

            Publish(s => s with { State = KnownResourceStates.Stopping, HealthStatus = null });
            await running.CancelAsync().ConfigureAwait(false);
            if (_child is { } child)
                await child.StopAsync(patience).ConfigureAwait(false);
            await _life.ConfigureAwait(false);
        }
        finally
        {
            _gate.Release();
        }
    }

    public void Dispose()
    {
        _gate.Dispose();
        _running?.Dispose();
    }

    // Somebody may have killed it a moment ago.
    private async Task<bool> HasJustEndedAsync()
    {
        if (_child is null)
            return false;

        await Task.WhenAny(_child.Exited, Task.Delay(KilledPatience, TimeProvider.System)).ConfigureAwait(false);
        return _child.Exited.IsCompleted;
    }

    private async Task LiveAsync(ChildProcess? child, CancellationTokenSource running)
    {
        var health = WatchHealthAsync(running.Token);
        if (child is null)
        {
            await health.ConfigureAwait(false);
            Ended(exitCode: null, KnownResourceStates.Exited);
            return;
        }

        var code = await child.Exited.ConfigureAwait(false);
        var asked = running.IsCancellationRequested;
        await running.CancelAsync().ConfigureAwait(false);
        await health.ConfigureAwait(false);
        Ended(code, asked ? KnownResourceStates.Exited : KnownResourceStates.Finished);
        if (!asked && code != 0)
        {
            log.Problem(
                $"[{id}] ended with exit code {code} and stays down. Its last lines:" +
                string.Concat(child.LastLines.Select(line => $"{Environment.NewLine}[{id}]   {line}")));
        }
    }

    private void Ended(int? exitCode, string state)
    {
        var last = _child?.LastLines.LastOrDefault(line => line.Length > 0);
        _running?.Dispose();
        _running = null;
        Publish(s => s with { State = state, ExitCode = exitCode, HealthStatus = null, Problem = exitCode is null or 0 ? null : last });
    }

    private async Task WatchHealthAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (_probes.Length > 0)
            {
                var problem = await ProbeAsync(cancellationToken).ConfigureAwait(false);
                Publish(s => s with { HealthStatus = problem is null ? HealthStatus.Healthy : HealthStatus.Unhealthy, Problem = problem });
                var interval = problem is null ? ProbeInterval : EagerProbeInterval;
                await Task.Delay(interval, TimeProvider.System, cancellationToken).ConfigureAwait(false);
            }

            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // It was stopped, or ended.
        }
    }

    private async Task<string?> ProbeAsync(CancellationToken cancellationToken)
    {
        foreach (var probe in _probes)
        {
            try
            {
                await probe.Check(Address, cancellationToken).WaitAsync(ProbeTimeout, TimeProvider.System, cancellationToken)
                    .ConfigureAwait(false);
            }
            catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
            {
                return $"{probe.Description}: {(e is TimeoutException ? $"no answer within {ProbeTimeout.TotalSeconds} s" : e.Message)}";
            }
        }

        return null;
    }

    private Uri Address(EndpointReference endpoint)
    {
        var first = new Uri(endpoint.Url);
        return endpoint.Resource == resource ? new UriBuilder(first) { Port = ports[endpoint.EndpointName] }.Uri : first;
    }

    private void Publish(Func<CustomResourceSnapshot, CustomResourceSnapshot> change) => notifications.Publish(resource, id, change);
}
