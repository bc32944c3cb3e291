using System.Buffers.Binary;

namespace ValueCanvas.Core.Caching.Flights;

internal enum MessageKind : byte
{
    /// <summary>
    /// To the instance that asks the model: send me the flight, from this step on. Again and again, as long as it is wanted.
    /// </summary>
    Want = 1,

    /// <summary>One step of it.</summary>
    Step = 2,

    /// <summary>No step yet, but it goes on.</summary>
    Beat = 3,

    /// <summary>There is no such flight, or not any more.</summary>
    Gone = 4,
}

/// <summary>What instances tell each other through Redis.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Flight">Which flight it is about.</param>
/// <param name="From">Who tells.</param>
/// <param name="Number">Which step.</param>
/// <param name="Content">The step, sealed.</param>
internal readonly record struct ExchangeMessage(
    MessageKind Kind, Guid Flight, Guid From, int Number, ReadOnlyMemory<byte> Content = default)
{
    private const int Head = 1 + 16 + 16 + 4;

    public byte[] ToBytes()
    {
        var bytes = new byte[Head + Content.Length];
        bytes[0] = (byte)Kind;
        Flight.TryWriteBytes(bytes.AsSpan(1));
        From.TryWriteBytes(bytes.AsSpan(17));
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(33), Number);
        Content.Span.CopyTo(bytes.AsSpan(Head));
        return bytes;
    }

    public static ExchangeMessage? Read(byte[]? bytes) => bytes is null || bytes.Length < Head
        ? null
        : new ExchangeMessage(
            (MessageKind)bytes[0],
            new Guid(bytes.AsSpan(1, 16)),
            new Guid(bytes.AsSpan(17, 16)),
            BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(33)),
            bytes.AsMemory(Head));
}
