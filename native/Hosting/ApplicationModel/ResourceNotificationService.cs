using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>What became of every resource so far, and word of each change.</summary>
public class ResourceNotificationService
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, ResourceEvent> _latest = new(StringComparer.OrdinalIgnoreCase);
    private TaskCompletionSource _changed = NewSignal();

    // Only a running application makes one; Aspire's constructors take services that there are none of here.
    internal ResourceNotificationService()
    {
    }

    public bool TryGetCurrentState(string resourceId, [NotNullWhen(true)] out ResourceEvent? resourceEvent)
    {
        lock (_lock)
            return _latest.TryGetValue(resourceId, out resourceEvent);
    }

    public Task WaitForResourceAsync(string resourceName, string? targetState = null, CancellationToken cancellationToken = default) =>
        WaitForResourceAsync(resourceName, [targetState ?? KnownResourceStates.Running], cancellationToken);

    public async Task<string> WaitForResourceAsync(
        string resourceName, IEnumerable<string> targetStates, CancellationToken cancellationToken = default)
    {
        string[] wanted = [.. targetStates];
        var found = await WaitForResourceAsync(
            resourceName, e => wanted.Contains(e.Snapshot.State?.Text, StringComparer.OrdinalIgnoreCase), cancellationToken)
                .ConfigureAwait(false);
        return found.Snapshot.State!.Text;
    }

    /// <summary>Sees every state that a resource goes through from now on, however briefly.</summary>
    public async Task<ResourceEvent> WaitForResourceAsync(
        string resourceName, Func<ResourceEvent, bool> predicate, CancellationToken cancellationToken = default)
    {
        await foreach (var next in WatchAsync(cancellationToken).ConfigureAwait(false))
        {
            if (IsOf(next, resourceName) && predicate(next))
                return next;
        }

        throw new OperationCanceledException(cancellationToken);
    }

    public Task<ResourceEvent> WaitForResourceHealthyAsync(string resourceName, CancellationToken cancellationToken = default) =>
        WaitForResourceHealthyAsync(resourceName, WaitBehavior.StopOnResourceUnavailable, cancellationToken);

    /// <summary>Waits for every replica to be healthy.</summary>
    public Task<ResourceEvent> WaitForResourceHealthyAsync(
        string resourceName, WaitBehavior waitBehavior, CancellationToken cancellationToken = default) =>
        WaitForAsync(
            resourceName,
            events => events.All(e => e.Snapshot.IsHealthy) ? events[0]
                : waitBehavior == WaitBehavior.StopOnResourceUnavailable && events.FirstOrDefault(e => e.Snapshot.IsTerminal) is { } dead
                    ? throw new DistributedApplicationException(
                        $"Stopped waiting for resource '{resourceName}' to become healthy: {dead.Snapshot.Describe()}")
                    : null,
            cancellationToken);

    public async IAsyncEnumerable<ResourceEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var channel = Channel.CreateBounded<ResourceEvent>(
            new BoundedChannelOptions(1024) { FullMode = BoundedChannelFullMode.DropOldest });
        lock (_lock)
        {
            foreach (var known in _latest.Values)
                channel.Writer.TryWrite(known);
            Published += Write;
        }

        try
        {
            await foreach (var next in channel.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
                yield return next;
        }
        finally
        {
            Published -= Write;
        }

        void Write(ResourceEvent next) => channel.Writer.TryWrite(next);
    }

    internal void Publish(IResource resource, string resourceId, Func<CustomResourceSnapshot, CustomResourceSnapshot> change)
    {
        TaskCompletionSource changed;
        ResourceEvent next;
        lock (_lock)
        {
            var before = _latest.GetValueOrDefault(resourceId)?.Snapshot
                ?? new CustomResourceSnapshot { ResourceType = resource.GetType().Name };
            next = new ResourceEvent(resource, resourceId, change(before));
            _latest[resourceId] = next;
            (changed, _changed) = (_changed, NewSignal());
            Published?.Invoke(next);
        }

        changed.SetResult();
    }

    private event Action<ResourceEvent>? Published;

    private async Task<ResourceEvent> WaitForAsync(
        string resourceName, Func<IReadOnlyList<ResourceEvent>, ResourceEvent?> find, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            ResourceEvent[] events;
            lock (_lock)
            {
                changed = _changed.Task;
                events = [.. _latest.Values.Where(e => IsOf(e, resourceName))];
            }

            if (events.Length > 0 && find(events) is { } found)
                return found;

            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static bool IsOf(ResourceEvent resourceEvent, string nameOrId) =>
        string.Equals(resourceEvent.Resource.Name, nameOrId, StringComparison.OrdinalIgnoreCase)
        || string.Equals(resourceEvent.ResourceId, nameOrId, StringComparison.OrdinalIgnoreCase);

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
