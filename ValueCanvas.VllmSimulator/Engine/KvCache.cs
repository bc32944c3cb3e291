namespace ValueCanvas.VllmSimulator.Engine;

/// <summary>Gives sequences the blocks that their tokens need, and shares those that the prefix cache already holds.</summary>
internal sealed class KvCache(int blocks, int blockSize)
{
    public BlockPool Pool { get; } = new(blocks);

    /// <summary>
    /// How many of the sequence's first tokens are cached. At most all but the last, which must be computed to get a next token.
    /// </summary>
    public int CountCached(Sequence sequence)
    {
        var limit = (sequence.TokensSoFar - 1) / blockSize;
        var found = 0;
        while (found < limit && Pool.TryFind(HashOf(sequence, found), out _))
            found++;
        return found * blockSize;
    }

    /// <summary>
    /// Makes sure that the sequence has blocks for its first <paramref name="tokens"/> tokens, taking <paramref name="cached"/> of
    /// them from the prefix cache if it holds none yet. False, with nothing changed, when too few blocks are free.
    /// </summary>
    public bool TryReserve(Sequence sequence, int tokens, int cached = 0)
    {
        var shared = sequence.Blocks.Count == 0 ? cached / blockSize : 0;
        var needed = (tokens + blockSize - 1) / blockSize - sequence.Blocks.Count - shared;
        var revived = 0;
        for (var i = 0; i < shared; i++)
        {
            if (Pool.TryFind(HashOf(sequence, i), out var block) && Pool.IsFree(block))
                revived++;
        }
        if (needed > Pool.Free - revived)
            return false;

        for (var i = 0; i < shared; i++)
        {
            Pool.TryFind(HashOf(sequence, i), out var block);
            Pool.Share(block);
            sequence.Blocks.Add(block);
        }
        for (var i = 0; i < needed; i++)
            sequence.Blocks.Add(Pool.Allocate());
        return true;
    }

    /// <summary>Publishes the blocks that became full when the sequence went from <paramref name="from"/> to <paramref name="to"/> tokens.</summary>
    public void Publish(Sequence sequence, int from, int to)
    {
        for (var block = from / blockSize; block < to / blockSize; block++)
            Pool.Publish(sequence.Blocks[block], HashOf(sequence, block));
    }

    private ulong HashOf(Sequence sequence, int block)
    {
        var hashes = sequence.Hashes;
        while (hashes.Count <= block)
        {
            var parent = hashes.Count == 0 ? sequence.Salt : hashes[^1];
            hashes.Add(BlockHash.Next(parent, sequence, hashes.Count * blockSize, blockSize));
        }
        return hashes[block];
    }
}
