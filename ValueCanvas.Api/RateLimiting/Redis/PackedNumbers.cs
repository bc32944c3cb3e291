using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace ValueCanvas.Api.RateLimiting.Redis;

/// <summary>
/// One array of numbers and short texts in MessagePack, which Redis' scripts read and write faster than an argument for each.
/// </summary>
internal ref struct PackedNumbers
{
    private readonly ReadOnlySpan<byte> _bytes;
    private int _at;

    private PackedNumbers(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <exception cref="FormatException">It is not an array of whole numbers.</exception>
    public static long[] Read(ReadOnlySpan<byte> bytes)
    {
        var reader = new PackedNumbers(bytes);
        var head = reader.Take(1)[0];
        var numbers = new long[head switch
        {
            >= 0x90 and <= 0x9f => head & 0x0f,
            0xdc => BinaryPrimitives.ReadUInt16BigEndian(reader.Take(2)),
            0xdd => (int)BinaryPrimitives.ReadUInt32BigEndian(reader.Take(4)),
            _ => throw new FormatException("No array."),
        }];
        for (var i = 0; i < numbers.Length; i++)
            numbers[i] = reader.Next();
        return numbers;
    }

    public static void WriteHead(ArrayBufferWriter<byte> to, int count)
    {
        var span = to.GetSpan(5);
        span[0] = 0xdd;
        BinaryPrimitives.WriteInt32BigEndian(span[1..], count);
        to.Advance(5);
    }

    /// <param name="to">The end of the array so far.</param>
    /// <param name="number">Not negative.</param>
    public static void Write(ArrayBufferWriter<byte> to, long number)
    {
        var span = to.GetSpan(9);
        if (number < 0x80)
        {
            span[0] = (byte)number;
            to.Advance(1);
            return;
        }

        span[0] = 0xcf;
        BinaryPrimitives.WriteInt64BigEndian(span[1..], number);
        to.Advance(9);
    }

    /// <param name="to">The end of the array so far.</param>
    /// <param name="text">ASCII, at most 255 characters.</param>
    public static void Write(ArrayBufferWriter<byte> to, string text)
    {
        var span = to.GetSpan(2 + text.Length);
        (span[0], span[1]) = (0xd9, checked((byte)text.Length));
        to.Advance(2 + Encoding.ASCII.GetBytes(text, span[2..]));
    }

    private long Next()
    {
        var head = Take(1)[0];
        return head switch
        {
            < 0x80 => head,
            >= 0xe0 => (sbyte)head,
            0xcc => Take(1)[0],
            0xcd => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
            0xce => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
            0xcf => checked((long)BinaryPrimitives.ReadUInt64BigEndian(Take(8))),
            0xd0 => (sbyte)Take(1)[0],
            0xd1 => BinaryPrimitives.ReadInt16BigEndian(Take(2)),
            0xd2 => BinaryPrimitives.ReadInt32BigEndian(Take(4)),
            0xd3 => BinaryPrimitives.ReadInt64BigEndian(Take(8)),
            _ => throw new FormatException("No whole number."),
        };
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _bytes.Length - _at)
            throw new FormatException("Too short.");
        _at += count;
        return _bytes.Slice(_at - count, count);
    }
}
