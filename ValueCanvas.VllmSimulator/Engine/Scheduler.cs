using ValueCanvas.VllmSimulator.Metrics;

namespace ValueCanvas.VllmSimulator.Engine;

/// <summary>
/// vLLM's continuous batching: every step first gives each running sequence its next token (or next chunk of prompt), then admits
/// waiting ones while the token budget, the sequence slots and the KV blocks last. A running sequence that gets no block preempts the
/// last one, which starts again later. A pure state machine: it knows no clock, and its owner holds the lock.
/// </summary>
internal sealed class Scheduler(SimulatorOptions options, EngineMetrics metrics)
{
    private readonly KvCache _cache = new(options.KvBlocks, options.BlockSize);
    private readonly StepCost _cost = new(options);
    private readonly List<Sequence> _running = [];
    private readonly SortedSet<Sequence> _waiting = new(QueueOrder.Instance);
    private readonly List<(Sequence Sequence, int Tokens)> _step = [];
    private long _arrivals;

    public int Running => _running.Count;

    public int Waiting => _waiting.Count;

    public BlockPool Blocks => _cache.Pool;

    public bool IsIdle => _running.Count == 0 && _waiting.Count == 0;

    public void Add(Sequence sequence, TimeSpan now)
    {
        sequence.Arrival = ++_arrivals;
        sequence.ArrivedAt = now;
        sequence.State = SequenceState.Waiting;
        _waiting.Add(sequence);
    }

    /// <summary>Takes a sequence whose client has gone out at once, wherever it is: slot and blocks are free for the next step.</summary>
    public void Abort(Sequence sequence, TimeSpan now)
    {
        if (sequence.Ended)
            return;

        if (sequence.State == SequenceState.Waiting)
            _waiting.Remove(sequence);
        Leave(sequence, SequenceState.Aborted, FinishReason.Abort, now);
    }

    /// <summary>Decides the next step. Null when there is nothing to compute.</summary>
    public TimeSpan? Plan(TimeSpan now)
    {
        _step.Clear();
        var budget = options.MaxNumBatchedTokens;

        // 1. Those that run, in order; whoever gets no block pushes out the last.
        var preempted = false;
        for (var i = 0; i < _running.Count && budget > 0; i++)
        {
            var sequence = _running[i];
            var tokens = Math.Min(sequence.TokensSoFar - sequence.Computed, budget);
            while (!_cache.TryReserve(sequence, sequence.Computed + tokens))
            {
                preempted = true;
                var victim = Victim();
                Preempt(victim, ref budget, ref i);
                if (victim == sequence)
                    break;
            }
            if (sequence.State != SequenceState.Running)
                continue;

            _step.Add((sequence, tokens));
            budget -= tokens;
        }

        // 2. Those that wait, first come first served (or by priority), until something runs out.
        while (!preempted && budget > 0 && _running.Count < options.MaxNumSeqs && _waiting.Min is { } next)
        {
            var cached = _cache.CountCached(next);
            var tokens = Math.Min(next.TokensSoFar - cached, budget);
            if (!_cache.TryReserve(next, cached + tokens, cached))
                break;

            _waiting.Remove(next);
            Start(next, cached, now);
            _step.Add((next, tokens));
            budget -= tokens;
        }

        if (_step.Count == 0)
            return null;

        var prefill = 0;
        var decodes = 0;
        foreach (var (sequence, tokens) in _step)
        {
            if (sequence.Computed >= sequence.Prompt.Length && tokens == 1)
                decodes++;
            else
                prefill += tokens;
        }
        return _cost.Of(prefill, decodes);
    }

    /// <summary>The planned step is over: its tokens are computed, and whoever is through its prompt has one more token out.</summary>
    public void Complete(TimeSpan now)
    {
        var computed = 0;
        foreach (var (sequence, tokens) in _step)
        {
            computed += tokens;
            if (sequence.State == SequenceState.Running)
                Advance(sequence, tokens, now);
        }
        metrics.Step(computed);
        _step.Clear();
    }

    /// <summary>Everything at once, for zero delay: same cache, same counters, no queue.</summary>
    public void RunToEnd(Sequence sequence, TimeSpan now)
    {
        sequence.ArrivedAt = now;
        var cached = _cache.CountCached(sequence);
        var total = sequence.Prompt.Length + Math.Max(0, sequence.Output.Length - 1);
        if (!_cache.TryReserve(sequence, total, cached))
            throw new InvalidOperationException("A sequence alone needs more KV blocks than there are.");

        Start(sequence, cached, now);
        metrics.PromptComputed(sequence.Prompt.Length, sequence.Cached);
        if (sequence.Output.Length > 0)
        {
            sequence.FirstTokenAt = sequence.LastTokenAt = now;
            metrics.FirstToken(TimeSpan.Zero);
            metrics.NextTokens(sequence.Output.Length - 1, TimeSpan.Zero);
            sequence.Emit(sequence.Output.Length);
        }
        _cache.Publish(sequence, cached, total);
        Leave(sequence, SequenceState.Finished, sequence.Finish, now);
    }

    private void Start(Sequence sequence, int cached, TimeSpan now)
    {
        sequence.State = SequenceState.Running;
        sequence.Computed = cached;
        if (sequence.Cached < 0)
        {
            sequence.Cached = cached;
            sequence.ScheduledAt = now;
            metrics.PrefixLookup(sequence.Prompt.Length, cached);
        }
        _running.Add(sequence);
    }

    private void Advance(Sequence sequence, int tokens, TimeSpan now)
    {
        var before = sequence.Computed;
        sequence.Computed += tokens;
        _cache.Publish(sequence, before, sequence.Computed);
        if (sequence.Computed < sequence.TokensSoFar)
            return;

        if (sequence.Output.Length > 0)
        {
            if (sequence.Emitted == 0)
            {
                sequence.FirstTokenAt = now;
                metrics.PromptComputed(sequence.Prompt.Length, sequence.Cached);
                metrics.FirstToken(now - sequence.ArrivedAt);
            }
            else
            {
                metrics.NextTokens(1, now - sequence.LastTokenAt);
            }
            sequence.LastTokenAt = now;
            sequence.Emit(1);
        }
        else
        {
            metrics.PromptComputed(sequence.Prompt.Length, sequence.Cached);
        }

        if (sequence.Emitted == sequence.Output.Length)
            Leave(sequence, SequenceState.Finished, sequence.Finish, now);
    }

    private void Leave(Sequence sequence, SequenceState state, FinishReason reason, TimeSpan now)
    {
        _running.Remove(sequence);
        _cache.Pool.Release(sequence.Blocks);
        metrics.Finished(sequence, reason, now);
        sequence.End(state);
    }

    private Sequence Victim()
    {
        if (!options.HonoursPriority)
            return _running[^1];

        var victim = _running[0];
        foreach (var candidate in _running)
        {
            if (QueueOrder.Instance.Compare(candidate, victim) > 0)
                victim = candidate;
        }
        return victim;
    }

    private void Preempt(Sequence victim, ref int budget, ref int position)
    {
        var index = _running.IndexOf(victim);
        _running.RemoveAt(index);
        if (index < position)
            position--;

        var planned = _step.FindIndex(item => item.Sequence == victim);
        if (planned >= 0)
        {
            budget += _step[planned].Tokens;
            _step.RemoveAt(planned);
        }
        else if (index == position)
        {
            position--;
        }
        _cache.Pool.Release(victim.Blocks);
        victim.Computed = 0;
        victim.State = SequenceState.Waiting;
        _waiting.Add(victim);
        metrics.Preempted();
    }

    private sealed class QueueOrder : IComparer<Sequence>
    {
        public static readonly QueueOrder Instance = new();

        public int Compare(Sequence? x, Sequence? y)
        {
            var byPriority = x!.Priority.CompareTo(y!.Priority);
            return byPriority != 0 ? byPriority : x.Arrival.CompareTo(y.Arrival);
        }
    }
}
