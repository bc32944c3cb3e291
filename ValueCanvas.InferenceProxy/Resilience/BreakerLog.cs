namespace ValueCanvas.InferenceProxy.Resilience;

/// <summary>The last things that happened to a breaker.</summary>
internal sealed class BreakerLog
{
    private const int Kept = 16;

    private readonly Queue<BreakerTransition> _transitions = new(Kept);

    public void Add(BreakerTransition transition)
    {
        if (_transitions.Count == Kept)
            _transitions.Dequeue();
        _transitions.Enqueue(transition);
    }

    /// <summary>The latest first.</summary>
    public BreakerTransitionView[] View() =>
        [.. _transitions.Reverse().Select(t => new BreakerTransitionView(t.From.Label(), t.To.Label(), t.Reason, t.At))];
}
