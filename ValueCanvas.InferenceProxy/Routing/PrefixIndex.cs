namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>
/// The blocks that a replica's cache is believed to hold: a bounded set that forgets what was used longest ago. A chain is entered from its
/// end to its beginning, so that a block is never older than those behind it and is forgotten after them, as in the replica's own cache;
/// hence a prompt's known blocks are its first ones and can be counted by bisection.
/// </summary>
internal sealed class PrefixIndex
{
    private const int FirstSize = 256;
    private const int Ends = 0; // slot 0 is the ring's anchor: behind it the newest, before it the oldest

    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, int> _slots = [];
    private ulong[] _hash = new ulong[FirstSize];
    private int[] _older = new int[FirstSize];
    private int[] _newer = new int[FirstSize];

    public int Count
    {
        get
        {
            lock (_gate)
                return _slots.Count;
        }
    }

    /// <summary>How many of the prompt's first blocks are known.</summary>
    public int Match(ReadOnlySpan<ulong> blocks)
    {
        lock (_gate)
        {
            var (known, unknown) = (0, blocks.Length);
            if (_slots.Count == 0 || unknown == 0 || !_slots.ContainsKey(blocks[0]))
                return 0;

            while (known < unknown)
            {
                var middle = (known + unknown) / 2;
                (known, unknown) = _slots.ContainsKey(blocks[middle]) ? (middle + 1, unknown) : (known, middle);
            }

            return known;
        }
    }

    /// <summary>Enters a prompt, and forgets the oldest blocks above <paramref name="capacity"/>.</summary>
    public void Record(ReadOnlySpan<ulong> blocks, int capacity)
    {
        blocks = blocks[..Math.Min(blocks.Length, capacity)];
        lock (_gate)
        {
            for (var i = blocks.Length - 1; i >= 0; i--)
            {
                if (_slots.TryGetValue(blocks[i], out var slot))
                {
                    Unlink(slot);
                }
                else
                {
                    slot = Take(capacity);
                    _hash[slot] = blocks[i];
                    _slots.Add(blocks[i], slot);
                }

                Link(slot);
            }

            Shrink(capacity);
        }
    }

    /// <summary>The replica has restarted: its cache is empty.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            _slots.Clear();
            (_older[Ends], _newer[Ends]) = (Ends, Ends);
        }
    }

    private int Take(int capacity)
    {
        if (_slots.Count >= capacity)
            return Forget();

        var slot = _slots.Count + 1; // slots are dense: what is forgotten is reused at once
        if (slot == _hash.Length)
        {
            Array.Resize(ref _hash, slot * 2);
            Array.Resize(ref _older, slot * 2);
            Array.Resize(ref _newer, slot * 2);
        }

        return slot;
    }

    private int Forget()
    {
        var slot = _newer[Ends];
        Unlink(slot);
        _slots.Remove(_hash[slot]);
        return slot;
    }

    // The capacity has become smaller. The last slot moves into the hole, so that slots stay dense.
    private void Shrink(int capacity)
    {
        while (_slots.Count > capacity)
        {
            var hole = Forget();
            var last = _slots.Count + 1;
            if (hole != last)
            {
                _hash[hole] = _hash[last];
                (_older[hole], _newer[hole]) = (_older[last], _newer[last]);
                _newer[_older[hole]] = hole;
                _older[_newer[hole]] = hole;
                _slots[_hash[hole]] = hole;
            }
        }
    }

    private void Link(int slot)
    {
        var newest = _older[Ends];
        (_older[slot], _newer[slot]) = (newest, Ends);
        _newer[newest] = slot;
        _older[Ends] = slot;
    }

    private void Unlink(int slot)
    {
        _newer[_older[slot]] = _newer[slot];
        _older[_newer[slot]] = _older[slot];
    }
}
