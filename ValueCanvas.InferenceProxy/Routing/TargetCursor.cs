using ValueCanvas.InferenceProxy.Forwarding;
using ValueCanvas.InferenceProxy.Providers;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>Walks the targets of one request: each usable replica of the first, then those of the second, and so on, none of them twice.</summary>
internal sealed class TargetCursor(ModelRoute route, InferenceOperation operation, ReplicaPicker picker)
{
    private int _index = -1;
    private List<Replica>? _excluded;
    private Replica? _next;

    public Target Target => route.Targets[Math.Clamp(_index, 0, route.Targets.Length - 1)];

    public Replica? Current { get; private set; }

    /// <summary>How many attempts were begun.</summary>
    public int Attempts { get; private set; }

    /// <summary>A provider was passed over because it refuses all of its keys.</summary>
    public bool CredentialsExhausted { get; private set; }

    /// <summary>The shortest pause for which a replica that was passed over has asked.</summary>
    public TimeSpan? Cooling { get; private set; }

    /// <summary>Something serves the model, but not this operation.</summary>
    public bool Unsupported { get; private set; }

    /// <summary>Whether anything is left to try after the current replica.</summary>
    public bool HasNext => (_next ??= Find()) is not null;

    public bool MoveNext()
    {
        Current = _next ?? Find();
        _next = null;
        Attempts += Current is null ? 0 : 1;
        return Current is not null;
    }

    /// <summary>The current replica once more, with another key.</summary>
    public void Repeat() => _next = Current;

    /// <summary>A replica has just asked for a pause.</summary>
    public void Cooled(TimeSpan pause) => Cooling = Cooling is { } known && known < pause ? known : pause;

    private Replica? Find()
    {
        if (Current is not null)
        {
            (_excluded ??= []).Add(Current);
        }

        while (true)
        {
            if (_index >= 0 && picker.Pick(route.Targets[_index].Replicas, route.Targets[_index].Model, _excluded) is { } replica)
            {
                return replica;
            }

            if (++_index >= route.Targets.Length)
            {
                _index = route.Targets.Length;
                return null;
            }

            Exclude(route.Targets[_index]);
        }
    }

    private void Exclude(Target target)
    {
        _excluded?.Clear();
        foreach (var replica in target.Replicas)
        {
            var (upstream, pause) = (replica.Upstream, replica.CoolingFor(target.Model));
            var (supported, exhausted) = (upstream.Kind.Supports(operation), upstream.Credentials.IsExhausted);
            if (supported && !exhausted && pause == TimeSpan.Zero)
            {
                continue;
            }

            (_excluded ??= []).Add(replica);
            if (!replica.State.Models.ContainsKey(target.Model))
            {
                continue;
            }

            Unsupported |= !supported;
            CredentialsExhausted |= supported && exhausted;
            if (supported && !exhausted)
            {
                Cooled(pause);
            }
        }
    }
}
