using System.Buffers;

namespace ValueCanvas.Core.Caching.Flights;

/// <summary>
/// Lets a second call of the model go on with a stream that broke off between two instances: what was passed on already
/// it must say again, which is left out, and what comes behind that bears the first one's id. Of a request at
/// temperature 0 or with a seed that can be expected.
/// </summary>
internal sealed class Rejoin(int maxBytes)
{
    private readonly ArrayBufferWriter<byte> _had = new();
    private readonly ArrayBufferWriter<byte> _event = new();
    private byte[] _expected = [];
    private byte[] _id = [];
    private byte[] _created = [];
    private int _found;

    /// <summary>There is something to go on with, and all of it is known.</summary>
    public bool IsPossible { get; private set; } = true;

    /// <summary>What the first call began with.</summary>
    public void Had(FlightHead head) => IsPossible &= head.IsOk && !head.IsEncoded;

    /// <summary>Passed on, of the first call.</summary>
    public void Had(ReadOnlySpan<byte> bytes)
    {
        IsPossible &= _had.WrittenCount + bytes.Length <= maxBytes;
        if (IsPossible)
            _had.Write(bytes);
    }

    /// <summary>From here on the second call speaks.</summary>
    /// <exception cref="IOException">What was passed on does not end between two events.</exception>
    public void Begin()
    {
        var kept = new ArrayBufferWriter<byte>(_had.WrittenCount);
        for (var rest = _had.WrittenSpan; rest.Length > 0;)
        {
            var length = rest.IndexOf("\n\n"u8) + 2;
            if (length < 2)
                throw Differs();
            var one = rest[..length];
            if (_id.Length == 0 && Id(one) is { Length: > 0 } id)
                (_id, _created) = (id.ToArray(), Created(one).ToArray());
            if (one[0] != (byte)':')
                kept.Write(one);
            rest = rest[length..];
        }

        _expected = kept.WrittenSpan.ToArray();
        _had.ResetWrittenCount();
    }

    /// <summary>The next bytes of the second call; what of them is to be passed on.</summary>
    /// <exception cref="IOException">It says something else.</exception>
    public byte[] Next(ReadOnlySpan<byte> bytes)
    {
        _event.Write(bytes);
        var output = new ArrayBufferWriter<byte>(_event.WrittenCount);
        var rest = _event.WrittenSpan;
        while (rest.IndexOf("\n\n"u8) + 2 is > 1 and var length)
        {
            Take(rest[..length], output);
            rest = rest[length..];
        }

        byte[] left = [.. rest];
        _event.ResetWrittenCount();
        _event.Write(left);
        return output.WrittenSpan.ToArray();
    }

    /// <summary>The second call is over; what of it had no end.</summary>
    /// <exception cref="IOException">It said less than the first one.</exception>
    public byte[] End() => _found == _expected.Length ? _event.WrittenSpan.ToArray() : throw Differs();

    private void Take(ReadOnlySpan<byte> one, ArrayBufferWriter<byte> output)
    {
        var isBehind = _found == _expected.Length;
        if (one[0] == (byte)':')
        {
            if (isBehind)
                output.Write(one);
            return;
        }

        var same = AsTheFirst(one);
        var length = isBehind ? 0 : same.Length;
        if (length > _expected.Length - _found || !same.AsSpan(0, length).SequenceEqual(_expected.AsSpan(_found, length)))
            throw Differs();
        _found += length;
        output.Write(same.AsSpan(length));
    }

    private byte[] AsTheFirst(ReadOnlySpan<byte> one)
    {
        byte[] same = [.. one];
        same = Replace(same, Id(same), _id);
        return Replace(same, Created(same), _created);
    }

    // Within the text that it is a part of, the first of that name: objects inside come behind it.
    private static ReadOnlySpan<byte> Id(ReadOnlySpan<byte> one) => Member(one, "\"id\":\""u8, (byte)'"');

    private static ReadOnlySpan<byte> Created(ReadOnlySpan<byte> one) => Member(one, "\"created\":"u8, (byte)',');

    private static ReadOnlySpan<byte> Member(ReadOnlySpan<byte> one, ReadOnlySpan<byte> name, byte end)
    {
        var at = one.IndexOf(name);
        if (at < 0)
            return [];
        var value = one[(at + name.Length)..];
        return value.IndexOf(end) is > 0 and var length ? value[..length] : [];
    }

    private static byte[] Replace(byte[] text, ReadOnlySpan<byte> part, byte[] by)
    {
        if (part.IsEmpty || by.Length == 0 || part.SequenceEqual(by))
            return text;
        text.AsSpan().Overlaps(part, out var at);
        return [.. text.AsSpan(0, at), .. by, .. text.AsSpan(at + part.Length)];
    }

    private static IOException Differs() => new("The answer broke off, and the model says another one now.");
}
