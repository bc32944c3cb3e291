using ValueCanvas.VllmSimulator.Engine;

namespace ValueCanvas.VllmSimulator.Embeddings;

/// <summary>
/// Deterministic unit vectors in which similar texts are near each other: words, pairs of words and trigrams of characters are hashed
/// to signed coordinates, as a linear text classifier's features are.
/// </summary>
internal static class Embedder
{
    public static float[] Embed(string text, int dimension)
    {
        var vector = new float[dimension];
        ulong previous = 0;
        foreach (var range in Words(text))
        {
            var word = text.AsSpan(range);
            var hash = Hash(word, 1);
            Add(vector, hash, 1f);
            if (previous != 0)
                Add(vector, BlockHash.Mix(previous, hash), 0.5f);
            for (var i = 0; i + 3 <= word.Length; i++)
                Add(vector, Hash(word.Slice(i, 3), 2), 0.35f);
            previous = hash;
        }
        if (previous == 0)
            Add(vector, Hash(text, 3), 1f);
        Normalise(vector);
        return vector;
    }

    public static void Normalise(Span<float> vector)
    {
        var sum = 0.0;
        foreach (var value in vector)
            sum += value * value;
        if (sum == 0)
        {
            vector[0] = 1;
            return;
        }
        var scale = (float)(1 / Math.Sqrt(sum));
        foreach (ref var value in vector)
            value *= scale;
    }

    private static void Add(float[] vector, ulong hash, float weight) =>
        vector[(int)(hash % (ulong)vector.Length)] += (hash >> 63) == 0 ? weight : -weight;

    private static ulong Hash(ReadOnlySpan<char> text, ulong kind)
    {
        var hash = kind;
        foreach (var c in text)
            hash = BlockHash.Mix(hash, char.ToLowerInvariant(c));
        return hash == 0 ? 1 : hash;
    }

    private static IEnumerable<Range> Words(string text)
    {
        var start = -1;
        for (var i = 0; i <= text.Length; i++)
        {
            var inWord = i < text.Length && char.IsLetterOrDigit(text[i]);
            if (inWord && start < 0)
                start = i;
            if (!inWord && start >= 0)
            {
                yield return start..i;
                start = -1;
            }
        }
    }
}
