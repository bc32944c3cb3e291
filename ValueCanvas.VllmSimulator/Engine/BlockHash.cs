namespace ValueCanvas.VllmSimulator.Engine;

/// <summary>Chained hash of KV blocks: a block's identity is its tokens and everything before them, from the cache salt on.</summary>
internal static class BlockHash
{
    private const ulong Seed = 0x9E3779B97F4A7C15;

    public static ulong OfSalt(string? salt)
    {
        if (string.IsNullOrEmpty(salt))
            return 0;

        var hash = Seed;
        foreach (var character in salt)
            hash = Mix(hash, character);
        return hash;
    }

    public static ulong Next(ulong parent, Sequence sequence, int start, int count)
    {
        var hash = Mix(Seed, parent);
        for (var i = start; i < start + count; i++)
            hash = Mix(hash, (uint)sequence.TokenAt(i));
        return hash;
    }

    /// <summary>SplitMix64's finaliser over the running value.</summary>
    public static ulong Mix(ulong hash, ulong value)
    {
        var mixed = (hash ^ value) * 0xBF58476D1CE4E5B9 + Seed;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        return mixed ^ (mixed >> 31);
    }
}
