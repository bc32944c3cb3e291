using System.Buffers.Binary;
using System.Numerics;

namespace ValueCanvas.InferenceProxy.Routing;

/// <summary>A 64-bit hash of a block and all that stands before it: xxHash64's rounds, seeded with the block before.</summary>
internal static class BlockHash
{
    private const ulong P1 = 0x9E3779B185EBCA87;
    private const ulong P2 = 0xC2B2AE3D27D4EB4F;
    private const ulong P3 = 0x165667B19E3779F9;

    /// <param name="parent">The hash of the block before.</param>
    /// <param name="block">Its length is a multiple of 32 bytes.</param>
    public static ulong Next(ulong parent, ReadOnlySpan<byte> block)
    {
        var (a, b, c, d) = (parent + P1 + P2, parent + P2, parent, parent - P1);
        while (block.Length >= 32)
        {
            a = Round(a, BinaryPrimitives.ReadUInt64LittleEndian(block));
            b = Round(b, BinaryPrimitives.ReadUInt64LittleEndian(block[8..]));
            c = Round(c, BinaryPrimitives.ReadUInt64LittleEndian(block[16..]));
            d = Round(d, BinaryPrimitives.ReadUInt64LittleEndian(block[24..]));
            block = block[32..];
        }

        var hash = BitOperations.RotateLeft(a, 1) + BitOperations.RotateLeft(b, 7)
            + BitOperations.RotateLeft(c, 12) + BitOperations.RotateLeft(d, 18);
        hash = (hash ^ (hash >> 33)) * P2;
        hash = (hash ^ (hash >> 29)) * P3;
        return hash ^ (hash >> 32);
    }

    private static ulong Round(ulong sum, ulong word) => BitOperations.RotateLeft(sum + word * P2, 31) * P1;
}
