using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace ValueCanvas.Core.Caching.Keys;

/// <summary>The bytes that a canonical form consists of, in a pooled array that grows.</summary>
internal struct CanonicalText(int size)
{
    private const int MaxNumber = 256;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(size);

    public int Length { get; private set; }

    public readonly ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    public readonly Span<byte> From(int start) => _buffer.AsSpan(start, Length - start);

    public readonly void Return() => ArrayPool<byte>.Shared.Return(_buffer);

    public void Add(byte one)
    {
        Ensure(1);
        _buffer[Length++] = one;
    }

    public void Add(string? text)
    {
        var length = text is null ? -1 : Encoding.UTF8.GetByteCount(text);
        Ensure(sizeof(int) + Math.Max(0, length));
        BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(Length), length);
        Length += sizeof(int);
        if (text is not null)
            Length += Encoding.UTF8.GetBytes(text, _buffer.AsSpan(Length));
    }

    /// <summary>A name or a string, its length before it, which is also the answer.</summary>
    public int AddText(in Utf8JsonReader reader)
    {
        Ensure(sizeof(int) + reader.ValueSpan.Length);
        var length = reader.CopyString(_buffer.AsSpan(Length + sizeof(int)));
        BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(Length), length);
        Length += sizeof(int) + length;
        return length;
    }

    public void AddNumber(ReadOnlySpan<byte> text)
    {
        Span<byte> canonical = stackalloc byte[MaxNumber];
        var number = CanonicalNumber.Write(text, canonical, out var length) ? canonical[..length] : text;
        Ensure(number.Length + 2);
        _buffer[Length++] = (byte)'0';
        number.CopyTo(_buffer.AsSpan(Length));
        Length += number.Length;
        _buffer[Length++] = (byte)';';
    }

    private void Ensure(int more)
    {
        if (_buffer.Length - Length >= more)
            return;
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_buffer.Length * 2, Length + more));
        Written.CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }
}
