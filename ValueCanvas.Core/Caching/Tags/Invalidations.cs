using System.Collections.Concurrent;

namespace ValueCanvas.Core.Caching.Tags;

/// <summary>What is known in this process of invalidations, in the order of PostgreSQL: a number for each.</summary>
internal sealed class Invalidations
{
    private const int MostTags = 100_000;

    private readonly ConcurrentDictionary<ulong, long> _lastOfTag = new();
    private long _epoch;
    private long _floor;

    /// <summary>The last one that is known.</summary>
    public long Epoch => Volatile.Read(ref _epoch);

    public void Note(Guid? tenantId, string tag, long sequence)
    {
        _lastOfTag.AddOrUpdate(
            CacheTag.Hash(tenantId ?? Guid.Empty, tag),
            static (_, given) => given,
            static (_, known, given) => Math.Max(known, given),
            sequence);
        if (_lastOfTag.Count <= MostTags)
            return;
        // Too many to tell them apart: all that is older goes.
        Volatile.Write(ref _floor, sequence);
        _lastOfTag.Clear();
    }

    /// <summary>Call it when all up to there have been noted.</summary>
    public void Reach(long sequence)
    {
        if (sequence > Epoch)
            Volatile.Write(ref _epoch, sequence);
    }

    /// <summary>Whether something of the tags was invalidated since the answer was asked for.</summary>
    public bool IsDropped(ulong[] tagHashes, long epoch)
    {
        if (epoch >= Epoch)
            return false;
        if (epoch < Volatile.Read(ref _floor))
            return true;
        foreach (var tag in tagHashes)
        {
            if (_lastOfTag.TryGetValue(tag, out var last) && last > epoch)
                return true;
        }

        return false;
    }
}
