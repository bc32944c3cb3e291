using ValueCanvas.InferenceProxy.Providers;
using ValueCanvas.InferenceProxy.Routing;

namespace ValueCanvas.InferenceProxy.Admission;

/// <summary>A request that waits for a place. Whoever takes it out of the line, under the line's lock, decides how its waiting
/// ends.</summary>
internal sealed class Waiter(
    ModelTarget target, RouteRequest request, List<Replica>? tried, Caller caller, DateTimeOffset until, long number) : IComparable<Waiter>
{
    private readonly TaskCompletionSource<WaitEnd> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ModelTarget Target => target;

    public RouteRequest Request => request;

    public List<Replica>? Tried => tried;

    public Caller Caller => caller;

    /// <summary>The caller's deadline, or when waiting ends.</summary>
    public DateTimeOffset Until => until;

    public bool Waits { get; set; } = true;

    public Task<WaitEnd> End => _end.Task;

    public void Serve(Placement? placement) => _end.SetResult(new WaitEnd(placement, Refusal.None));

    public void Refuse(Refusal refusal) => _end.SetResult(new WaitEnd(null, refusal));

    /// <summary>The most urgent first, then the first come.</summary>
    public int CompareTo(Waiter? other)
    {
        var byDeadline = (caller.Deadline ?? DateTimeOffset.MaxValue).CompareTo(other!.Caller.Deadline ?? DateTimeOffset.MaxValue);
        return byDeadline != 0 ? byDeadline : number.CompareTo(other.Number);
    }

    private long Number => number;
}

/// <summary>How waiting ended: with a place, or refused. With neither, no replica is left that could answer.</summary>
internal readonly record struct WaitEnd(Placement? Placement, Refusal Refusal);

internal enum Refusal
{
    None,

    /// <summary>Too many wait.</summary>
    Full,

    /// <summary>This tenant has more than its share of those that wait.</summary>
    OverShare,

    /// <summary>It waited as long as it may.</summary>
    Waited,

    /// <summary>Nobody wants the answer any more.</summary>
    Deadline,

    /// <summary>The client went away.</summary>
    Gone,
}
