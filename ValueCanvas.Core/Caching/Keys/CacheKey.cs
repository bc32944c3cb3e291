using System.Buffers.Binary;

namespace ValueCanvas.Core.Caching.Keys;

/// <summary>A SHA-256 over all that the answer depends on, the tenant included.</summary>
internal readonly record struct CacheKey(UInt128 High, UInt128 Low)
{
    public const int Bytes = 32;

    public static CacheKey Read(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt128BigEndian(bytes), BinaryPrimitives.ReadUInt128BigEndian(bytes[16..]));

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt128BigEndian(to, High);
        BinaryPrimitives.WriteUInt128BigEndian(to[16..], Low);
    }

    public byte[] ToBytes()
    {
        var bytes = new byte[Bytes];
        Write(bytes);
        return bytes;
    }

    // The bits of a hash are as good as any others.
    public override int GetHashCode() => (int)(ulong)Low;

    public override string ToString() => Convert.ToHexStringLower(ToBytes());
}
