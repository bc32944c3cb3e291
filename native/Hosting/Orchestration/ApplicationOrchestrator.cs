using System.Text.Json;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting.Orchestration;

/// <summary>Runs the application: everything in order, watched over, and nothing left behind.</summary>
internal sealed class ApplicationOrchestrator(
    DistributedApplicationModel model, DistributedApplicationExecutionContext executionContext, DistributedApplicationOptions options,
    IConfiguration configuration, ResourceNotificationService notifications, DataDirectory data, RunMode mode) : IAsyncDisposable
{
    private static readonly TimeSpan HealthPatience = TimeSpan.FromSeconds(120);

    // A service that is stopped alone finishes what it has begun, for which it takes half a minute at most.
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan DrainPatience = TimeSpan.FromSeconds(40);

    private readonly ConsoleLog _log = new(mode.IsTest);
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly List<ResourceInstance> _instances = [];
    private readonly List<ReplicaFront> _fronts = [];
    private ProcessLauncher? _launcher;
    private Watchdog? _watchdog;
    private EndpointAllocation? _endpoints;
    private StartOrder? _order;
    private bool _disposed;

    /// <summary>Until cancelled. Throws when the application does not come up whole.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await StartAsync(cancellationToken).ConfigureAwait(false);
        await Task.WhenAll(_instances.Select(i => i.Resource).Distinct()
            .Where(r => r.Annotations.OfType<HealthProbeAnnotation>().Any())
            .Select(r => HealthyAsync(r, cancellationToken))).ConfigureAwait(false);

        if (Dashboard is { } dashboard)
            _log.Say($"Dashboard: {dashboard.GetEndpoint("http").Url}");
        foreach (var resource in model.Resources)
        {
            foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>().Where(e => e.IsExternal))
                _log.Say($"{resource.Name}: {endpoint.AllocatedEndpoint?.UriString}");
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Completes when everything has started that has not been told to stay down.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        data.Open();
        _watchdog = Watchdog.Start(data);
        _launcher = new ProcessLauncher();
        AddDashboard();
        _endpoints = new EndpointAllocation(model.Resources, mode.IsTest);
        _order = new StartOrder(model.Resources, Dashboard);
        WriteEndpoints();

        var factory = new InstanceFactory(
            executionContext, notifications, data, _launcher, _endpoints, _log, Dashboard, _watchdog.RunId);
        foreach (var resource in model.Resources)
            _instances.AddRange(factory.Create(resource));
        foreach (var instance in _instances)
            instance.Announce(KnownResourceStates.Waiting);
        foreach (var resource in model.Resources.Where(r => r.GetReplicaCount() > 1))
            _fronts.AddRange(resource.Annotations.OfType<EndpointAnnotation>().Select(endpoint => Front(resource, endpoint)));

        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var launched = model.Resources.ToDictionary(
            r => r, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        Exception? first = null;
        await Task.WhenAll(model.Resources.Select(async resource =>
        {
            try
            {
                await Task.WhenAll(_order.Before(resource).Where(launched.ContainsKey)
                        .Select(r => launched[r].Task.WaitAsync(failed.Token)))
                    .ConfigureAwait(false);
                await StartAsync(resource, failed.Token).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                if (Interlocked.CompareExchange(ref first, e, null) is null)
                    await failed.CancelAsync().ConfigureAwait(false);
            }
            finally
            {
                launched[resource].TrySetResult();
            }
        })).ConfigureAwait(false);

        cancellationToken.ThrowIfCancellationRequested();
        if (first is not null)
            throw first as DistributedApplicationException ?? new DistributedApplicationException(first.Message, first);
    }

    /// <summary>Everything in reverse order: first those that others do not need.</summary>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        await _gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            foreach (var level in _instances.GroupBy(i => _order!.Level(i.Resource)).OrderByDescending(g => g.Key))
                await Task.WhenAll(level.Select(i => i.StopAsync(StopPatience))).ConfigureAwait(false);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task ExecuteAsync(string id, string command, CancellationToken cancellationToken)
    {
        ResourceInstance[] wanted = [.. _instances.Where(i => Same(i.Id, id) || Same(i.Resource.Name, id))];
        if (wanted.Length == 0)
            throw new DistributedApplicationException($"There is no resource '{id}' in the running application.");
        if (!Same(command, KnownResourceCommands.StartCommand) && !Same(command, KnownResourceCommands.StopCommand)
            && !Same(command, KnownResourceCommands.RestartCommand))
        {
            throw new DistributedApplicationException($"There is no command '{command}': start, stop and restart are known.");
        }

        await Task.WhenAll(wanted.Select(async instance =>
        {
            if (!Same(command, KnownResourceCommands.StartCommand))
                await instance.StopAsync(DrainPatience).ConfigureAwait(false);
            if (!Same(command, KnownResourceCommands.StopCommand))
                await instance.StartAsync(cancellationToken).ConfigureAwait(false);
        })).ConfigureAwait(false);

        static bool Same(string left, string right) => string.Equals(left, right, StringComparison.OrdinalIgnoreCase);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, true))
            return;

        await StopAsync().ConfigureAwait(false);
        foreach (var front in _fronts)
            front.Dispose();
        _fronts.Clear();
        foreach (var instance in _instances)
            instance.Dispose();
        _instances.Clear();
        _launcher?.Dispose();
        _launcher = null;
        if (_watchdog is not null)
            await _watchdog.DisposeAsync().ConfigureAwait(false);
        _watchdog = null;
        _endpoints?.Dispose();
        _endpoints = null;
        data.Close(model.Resources.OfType<ContainerResource>().Where(r => !r.Annotations.OfType<ContainerMountAnnotation>().Any()));
        _gate.Dispose();
    }

    private DashboardResource? Dashboard => model.Resources.OfType<DashboardResource>().FirstOrDefault();

    private ReplicaFront Front(IResource resource, EndpointAnnotation endpoint) => new(
        endpoint.AllocatedEndpoint!.Port,
        _instances.Where(i => i.Resource == resource).Select(i => (i.Ports[endpoint.Name], (Func<ReplicaState>)(() => StateOf(i)))));

    private ReplicaState StateOf(ResourceInstance instance) => notifications.TryGetCurrentState(instance.Id, out var now) switch
    {
        true when now.Snapshot.IsHealthy => ReplicaState.Healthy,
        true when now.Snapshot.State?.Text == KnownResourceStates.Running => ReplicaState.Running,
        _ => ReplicaState.Away,
    };

    private void AddDashboard()
    {
        if (options.DisableDashboard)
            return;

        if (DashboardResource.Find(configuration, mode.IsTest) is { } dashboard)
            model.Resources.Insert(0, dashboard);
        else
        {
            _log.Say(
                "No dashboard: it is in the Aspire CLI (npm install @microsoft/aspire-cli-linux-x64; VALUECANVAS_ASPIRE_CLI is its path).");
        }
    }

    private async Task StartAsync(IResource resource, CancellationToken cancellationToken)
    {
        foreach (var wait in resource.Annotations.OfType<WaitAnnotation>())
        {
            try
            {
                if (wait.WaitType == WaitType.WaitUntilHealthy)
                    await HealthyAsync(wait.Resource, cancellationToken).ConfigureAwait(false);
                else if (wait.WaitType == WaitType.WaitForCompletion)
                    await CompletedAsync(wait, cancellationToken).ConfigureAwait(false);
            }
            catch (DistributedApplicationException e)
            {
                foreach (var instance in _instances.Where(i => i.Resource == resource))
                    instance.Announce(KnownResourceStates.FailedToStart);
                throw new DistributedApplicationException($"'{resource.Name}' is not started: {e.Message}", e);
            }
        }

        await Task.WhenAll(_instances.Where(i => i.Resource == resource)
            .Select(i => i.StartAsync(cancellationToken))).ConfigureAwait(false);
    }

    private async Task HealthyAsync(IResource resource, CancellationToken cancellationToken)
    {
        try
        {
            await notifications.WaitForResourceHealthyAsync(resource.Name, WaitBehavior.StopOnResourceUnavailable, cancellationToken)
                .WaitAsync(HealthPatience, TimeProvider.System, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException e)
        {
            var problems = _instances.Where(i => i.Resource == resource)
                .Select(i => notifications.TryGetCurrentState(i.Id, out var state) ? state.Snapshot.Problem : null);
            throw new DistributedApplicationException(
                $"'{resource.Name}' did not become healthy within {HealthPatience.TotalSeconds} s " +
                $"({string.Join("; ", problems.OfType<string>())}).", e);
        }
    }

    private async Task CompletedAsync(WaitAnnotation wait, CancellationToken cancellationToken)
    {
        var end = await notifications
            .WaitForResourceAsync(wait.Resource.Name, e => e.Snapshot.IsTerminal, cancellationToken).ConfigureAwait(false);
        if (end.Snapshot.State?.Text == KnownResourceStates.FailedToStart || end.Snapshot.ExitCode != wait.ExitCode)
        {
            throw new DistributedApplicationException(
                $"'{wait.Resource.Name}' should have completed with exit code {wait.ExitCode}, but is {end.Snapshot.Describe()}");
        }
    }

    // For people and scripts: where to find what has a port that nobody chose.
    private void WriteEndpoints()
    {
        var all = model.Resources
            .Where(r => r.Annotations.OfType<EndpointAnnotation>().Any())
            .ToDictionary(r => r.Name, r => r.Annotations.OfType<EndpointAnnotation>()
                .ToDictionary(e => e.Name, e => e.AllocatedEndpoint!.UriString));
        var temporary = data.EndpointsFile + ".new";
        File.WriteAllText(temporary, JsonSerializer.Serialize(all, EndpointsJson.Default.DictionaryStringDictionaryStringString));
        File.Move(temporary, data.EndpointsFile, overwrite: true);
    }
}
