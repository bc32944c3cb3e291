namespace ValueCanvas.VllmSimulator.Engine;

/// <summary>
/// The KV-cache blocks: reference counts, the prefix-cache index by hash, and the free blocks in eviction order (least recently used
/// first). A free block stays in the index until it is handed out for other tokens, as in vLLM.
/// </summary>
internal sealed class BlockPool
{
    private readonly int[] _references;
    private readonly ulong[] _hash;
    private readonly int[] _previous;
    private readonly int[] _next;
    private readonly Dictionary<ulong, int> _cached = [];
    private readonly int _head;

    public BlockPool(int count)
    {
        Count = count;
        _references = new int[count];
        _hash = new ulong[count];
        _previous = new int[count + 1];
        _next = new int[count + 1];
        _head = count;
        _previous[_head] = _next[_head] = _head;
        for (var block = 0; block < count; block++)
            AppendFree(block);
    }

    public int Count { get; }

    public int Free { get; private set; }

    public double Usage => (double)(Count - Free) / Count;

    public bool TryFind(ulong hash, out int block) => _cached.TryGetValue(hash, out block);

    public bool IsFree(int block) => _references[block] == 0;

    /// <summary>Takes a reference on a block found in the prefix cache.</summary>
    public void Share(int block)
    {
        if (_references[block]++ == 0)
            RemoveFree(block);
    }

    /// <summary>Takes the least recently used free block and forgets what it held. The caller has checked <see cref="Free"/>.</summary>
    public int Allocate()
    {
        var block = _next[_head];
        RemoveFree(block);
        Forget(block);
        _references[block] = 1;
        return block;
    }

    /// <summary>Makes a full block findable. If another block already holds the same tokens, that one stays the cached one.</summary>
    public void Publish(int block, ulong hash)
    {
        if (_cached.TryAdd(hash, block))
            _hash[block] = hash;
    }

    /// <summary>Gives a sequence's blocks back, its tail first so that the tail is evicted first.</summary>
    public void Release(List<int> blocks)
    {
        for (var i = blocks.Count - 1; i >= 0; i--)
        {
            var block = blocks[i];
            if (--_references[block] == 0)
                AppendFree(block);
        }
        blocks.Clear();
    }

    private void Forget(int block)
    {
        if (_hash[block] != 0 && _cached.TryGetValue(_hash[block], out var holder) && holder == block)
            _cached.Remove(_hash[block]);
        _hash[block] = 0;
    }

    private void AppendFree(int block)
    {
        var last = _previous[_head];
        _next[last] = block;
        _previous[block] = last;
        _next[block] = _head;
        _previous[_head] = block;
        Free++;
    }

    private void RemoveFree(int block)
    {
        _next[_previous[block]] = _next[block];
        _previous[_next[block]] = _previous[block];
        Free--;
    }
}
