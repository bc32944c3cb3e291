using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>The name under which a conditional expression stands in the manifest: what it asks, and a hash of all it says.</summary>
internal static class ConditionalName
{
    private const uint Prime1 = 2654435761, Prime2 = 2246822519, Prime3 = 3266489917, Prime4 = 668265263, Prime5 = 374761393;

    public static string For(IValueProvider condition, string matchValue, ReferenceExpression whenTrue, ReferenceExpression whenFalse)
    {
        var question = condition is IManifestExpressionProvider provider ? provider.ValueExpression : condition.GetType().Name;
        var hash = XxHash32(Encoding.UTF8.GetBytes(question + whenTrue.ValueExpression + whenFalse.ValueExpression + matchValue));
        var words = condition is IManifestExpressionProvider ? Words(question) : "";
        return $"cond-{(words.Length > 0 ? words : "expr")}-{hash:x8}";
    }

    private static string Words(string expression)
    {
        var words = new StringBuilder();
        foreach (var c in expression)
        {
            if (char.IsLetterOrDigit(c))
                words.Append(char.ToLowerInvariant(c));
            else if (words.Length > 0 && words[^1] != '-')
                words.Append('-');
        }

        return words.ToString().TrimEnd('-');
    }

    // xxHash, 32 bits, seed 0: github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
    private static uint XxHash32(ReadOnlySpan<byte> input)
    {
        var rest = input;
        var hash = Prime5;
        if (input.Length >= 16)
        {
            Span<uint> lanes = [unchecked(Prime1 + Prime2), Prime2, 0, unchecked(0u - Prime1)];
            for (; rest.Length >= 16; rest = rest[16..])
            {
                for (var i = 0; i < 4; i++)
                    lanes[i] = Round(lanes[i], BinaryPrimitives.ReadUInt32LittleEndian(rest[(4 * i)..]));
            }

            hash = BitOperations.RotateLeft(lanes[0], 1) + BitOperations.RotateLeft(lanes[1], 7)
                + BitOperations.RotateLeft(lanes[2], 12) + BitOperations.RotateLeft(lanes[3], 18);
        }

        hash += (uint)input.Length;
        for (; rest.Length >= 4; rest = rest[4..])
            hash = BitOperations.RotateLeft(hash + BinaryPrimitives.ReadUInt32LittleEndian(rest) * Prime3, 17) * Prime4;
        foreach (var b in rest)
            hash = BitOperations.RotateLeft(hash + b * Prime5, 11) * Prime1;

        hash = (hash ^ (hash >> 15)) * Prime2;
        hash = (hash ^ (hash >> 13)) * Prime3;
        return hash ^ (hash >> 16);

        static uint Round(uint lane, uint value) => BitOperations.RotateLeft(lane + value * Prime2, 13) * Prime1;
    }
}
