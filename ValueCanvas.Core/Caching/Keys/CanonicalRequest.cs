using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace ValueCanvas.Core.Caching.Keys;

/// <summary>
/// What a JSON text says, whatever its spaces, escapes, order of names and way of writing numbers: after RFC 8785, but with lengths in the place
/// of quotes, and with numbers in full (a seed has more digits than a double).
/// </summary>
/// <remarks>One pass over the text; members are sorted behind it, and moved only where they were not in order.</remarks>
internal ref struct CanonicalRequest
{
    private const int MaxDepth = 128;
    private const int MaxNumber = 256;

    private byte[] _buffer;
    private int _at;
    private Member[] _members = [];
    private int _memberCount;

    private CanonicalRequest(int size) => _buffer = ArrayPool<byte>.Shared.Rent(size);

    /// <summary>False: a body whose meaning is not certain (no object, a name twice, half a character) is no key.</summary>
    /// <param name="context">What else the answer depends on, in a fixed order.</param>
    /// <param name="body">The request's JSON.</param>
    /// <param name="key">The key.</param>
    public static bool TryHash(ReadOnlySpan<string?> context, ReadOnlySpan<byte> body, out CacheKey key)
    {
        var canonical = new CanonicalRequest(body.Length + 1024);
        try
        {
            foreach (var part in context)
                canonical.Write(part);
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject || !canonical.WriteObject(ref reader, isRoot: true) || reader.Read())
            {
                key = default;
                return false;
            }

            Span<byte> hash = stackalloc byte[CacheKey.Bytes];
            SHA256.HashData(canonical._buffer.AsSpan(0, canonical._at), hash);
            key = CacheKey.Read(hash);
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Malformed; or text that is not Unicode.
            key = default;
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(canonical._buffer);
            if (canonical._members.Length > 0)
                ArrayPool<Member>.Shared.Return(canonical._members);
        }
    }

    // Says who asks, how the answer is sent or what only the log is for; not what is asked.
    private static bool IsDenied(in Utf8JsonReader name) =>
        name.ValueTextEquals("stream"u8) || name.ValueTextEquals("stream_options"u8) || name.ValueTextEquals("user"u8)
        || name.ValueTextEquals("metadata"u8) || name.ValueTextEquals("priority"u8) || name.ValueTextEquals("request_id"u8);

    private bool WriteValue(ref Utf8JsonReader reader)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                return WriteObject(ref reader, isRoot: false);
            case JsonTokenType.StartArray:
                Put((byte)'[');
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    if (!WriteValue(ref reader))
                        return false;
                }

                Put((byte)']');
                return true;
            case JsonTokenType.String:
                Put((byte)'"');
                WriteText(ref reader);
                return true;
            case JsonTokenType.Number:
                WriteNumber(reader.ValueSpan);
                return true;
            default:
                Put(reader.ValueSpan[0]);
                return true;
        }
    }

    private bool WriteObject(ref Utf8JsonReader reader, bool isRoot)
    {
        Put((byte)'{');
        var (first, begin, inOrder) = (_memberCount, _at, true);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (isRoot && IsDenied(reader))
            {
                reader.Skip();
                continue;
            }

            var start = _at;
            Put((byte)',');
            var length = WriteText(ref reader);
            reader.Read();
            if (!WriteValue(ref reader))
                return false;
            Add(new(start, length, _at));
            if (_memberCount - first > 1)
            {
                var order = Compare(_members[_memberCount - 2], _members[_memberCount - 1]);
                inOrder &= order < 0;
            }
        }

        if (!inOrder && !Sort(first, begin))
            return false;
        _memberCount = first;
        Put((byte)'}');
        return true;
    }

    private readonly int Compare(in Member left, in Member right) =>
        _buffer.AsSpan(left.Name, left.Length).SequenceCompareTo(_buffer.AsSpan(right.Name, right.Length));

    // False: a name stands there twice, and readers differ in which one counts.
    private readonly bool Sort(int first, int begin)
    {
        var buffer = _buffer;
        var members = _members.AsSpan(first, _memberCount - first);
        members.Sort((left, right) =>
            buffer.AsSpan(left.Name, left.Length).SequenceCompareTo(buffer.AsSpan(right.Name, right.Length)));
        var length = _at - begin;
        var sorted = ArrayPool<byte>.Shared.Rent(length);
        var unique = true;
        var to = 0;
        for (var i = 0; i < members.Length; i++)
        {
            unique &= i == 0 || Compare(members[i - 1], members[i]) != 0;
            var size = members[i].End - members[i].Start;
            buffer.AsSpan(members[i].Start, size).CopyTo(sorted.AsSpan(to));
            to += size;
        }

        sorted.AsSpan(0, length).CopyTo(buffer.AsSpan(begin));
        ArrayPool<byte>.Shared.Return(sorted);
        return unique;
    }

    private int WriteText(ref Utf8JsonReader reader)
    {
        Ensure(sizeof(int) + reader.ValueSpan.Length);
        var length = reader.CopyString(_buffer.AsSpan(_at + sizeof(int)));
        BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(_at), length);
        _at += sizeof(int) + length;
        return length;
    }

    private void WriteNumber(ReadOnlySpan<byte> text)
    {
        Span<byte> canonical = stackalloc byte[MaxNumber];
        var number = CanonicalNumber.Write(text, canonical, out var length) ? canonical[..length] : text;
        Ensure(number.Length + 2);
        _buffer[_at++] = (byte)'0';
        number.CopyTo(_buffer.AsSpan(_at));
        _at += number.Length;
        _buffer[_at++] = (byte)';';
    }

    private void Write(string? part)
    {
        var length = part is null ? -1 : Encoding.UTF8.GetByteCount(part);
        Ensure(sizeof(int) + Math.Max(0, length));
        BinaryPrimitives.WriteInt32LittleEndian(_buffer.AsSpan(_at), length);
        _at += sizeof(int);
        if (part is not null)
            _at += Encoding.UTF8.GetBytes(part, _buffer.AsSpan(_at));
    }

    private void Put(byte one)
    {
        Ensure(1);
        _buffer[_at++] = one;
    }

    private void Add(Member member)
    {
        if (_memberCount == _members.Length)
        {
            var larger = ArrayPool<Member>.Shared.Rent(Math.Max(16, _members.Length * 2));
            _members.CopyTo(larger, 0);
            if (_members.Length > 0)
                ArrayPool<Member>.Shared.Return(_members);
            _members = larger;
        }

        _members[_memberCount++] = member;
    }

    private void Ensure(int more)
    {
        if (_buffer.Length - _at >= more)
            return;
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_buffer.Length * 2, _at + more));
        _buffer.AsSpan(0, _at).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = larger;
    }

    /// <summary>Where a member stands: a comma, the length of its name, the name, and its value up to the end.</summary>
    private readonly record struct Member(int Start, int Length, int End)
    {
        public int Name => Start + 1 + sizeof(int);
    }
}
