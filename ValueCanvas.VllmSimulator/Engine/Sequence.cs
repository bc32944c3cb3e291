namespace ValueCanvas.VllmSimulator.Engine;

internal enum SequenceState
{
    Waiting,
    Running,
    Finished,
    Aborted,
}

internal enum FinishReason
{
    Stop,
    Length,
    Abort,
}

/// <summary>
/// One sequence on its way through the scheduler. Its output tokens are known from the start; the engine decides when each is out.
/// Scheduling fields belong to the engine's lock; <see cref="Emitted"/> and <see cref="WaitAsync"/> are for the request's own thread.
/// </summary>
internal sealed class Sequence(int[] prompt, int[] output, FinishReason finish, int priority = 0, ulong salt = 0)
{
    private readonly Lock _waiting = new();
    private TaskCompletionSource? _waiter;
    private int _target;
    private volatile int _emitted;
    private volatile bool _ended;

    public int[] Prompt => prompt;

    public int[] Output => output;

    public FinishReason Finish => finish;

    public int Priority => priority;

    public ulong Salt => salt;

    public long Arrival { get; set; }

    public SequenceState State { get; set; }

    /// <summary>KV blocks held, in order.</summary>
    public List<int> Blocks { get; } = [];

    /// <summary>Chain hashes of the full blocks so far, in order.</summary>
    public List<ulong> Hashes { get; } = [];

    /// <summary>Tokens whose keys and values are in the cache.</summary>
    public int Computed { get; set; }

    /// <summary>Prompt tokens found in the prefix cache when the sequence was first scheduled; -1 before that.</summary>
    public int Cached { get; set; } = -1;

    public TimeSpan ArrivedAt { get; set; }

    public TimeSpan ScheduledAt { get; set; }

    public TimeSpan FirstTokenAt { get; set; }

    public TimeSpan LastTokenAt { get; set; }

    /// <summary>Output tokens that are out.</summary>
    public int Emitted => _emitted;

    public bool Ended => _ended;

    public int TokensSoFar => prompt.Length + _emitted;

    public int TokenAt(int index) => index < prompt.Length ? prompt[index] : output[index - prompt.Length];

    public void Emit(int count)
    {
        lock (_waiting)
        {
            _emitted += count;
            if (_waiter is not null && _emitted >= _target)
                Wake();
        }
    }

    public void End(SequenceState state)
    {
        lock (_waiting)
        {
            State = state;
            _ended = true;
            Wake();
        }
    }

    /// <summary>Completes when <paramref name="count"/> output tokens are out or the sequence has ended. One waiter at a time.</summary>
    public ValueTask WaitAsync(int count, CancellationToken cancellationToken)
    {
        if (_ended || _emitted >= count)
            return ValueTask.CompletedTask;

        Task task;
        lock (_waiting)
        {
            if (_ended || _emitted >= count)
                return ValueTask.CompletedTask;

            _target = count;
            _waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            task = _waiter.Task;
        }
        return new ValueTask(task.WaitAsync(cancellationToken));
    }

    private void Wake()
    {
        _waiter?.TrySetResult();
        _waiter = null;
    }
}
