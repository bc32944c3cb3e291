using System.Security.Cryptography;
using System.Text.Json;

namespace ValueCanvas.Core.Caching.Keys;

/// <summary>
/// What a JSON text says, whatever its spaces, escapes, order of names and way of writing numbers: after RFC 8785, but with lengths in the
/// place of quotes, and with numbers in full (a seed has more digits than a double).
/// </summary>
/// <remarks>One pass over the text; members are sorted behind it, and moved only where they were not in order.</remarks>
internal ref struct CanonicalRequest
{
    private const int MaxDepth = 128;

    private CanonicalText _text;
    private CanonicalMembers _members = new();

    private CanonicalRequest(int size) => _text = new(size);

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
                canonical._text.Add(part);
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject
                || !canonical.WriteObject(ref reader, isRoot: true) || reader.Read())
            {
                key = default;
                return false;
            }

            Span<byte> hash = stackalloc byte[CacheKey.Bytes];
            SHA256.HashData(canonical._text.Written, hash);
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
            canonical._text.Return();
            canonical._members.Return();
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
                _text.Add((byte)'[');
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    if (!WriteValue(ref reader))
                        return false;
                }

                _text.Add((byte)']');
                return true;
            case JsonTokenType.String:
                _text.Add((byte)'"');
                _text.AddText(reader);
                return true;
            case JsonTokenType.Number:
                _text.AddNumber(reader.ValueSpan);
                return true;
            default:
                _text.Add(reader.ValueSpan[0]);
                return true;
        }
    }

    private bool WriteObject(ref Utf8JsonReader reader, bool isRoot)
    {
        _text.Add((byte)'{');
        var (first, begin, inOrder) = (_members.Count, _text.Length, true);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (isRoot && IsDenied(reader))
            {
                reader.Skip();
                continue;
            }

            var start = _text.Length;
            _text.Add((byte)',');
            var nameLength = _text.AddText(reader);
            reader.Read();
            if (!WriteValue(ref reader))
                return false;
            _members.Add(start, nameLength, _text.Length);
            if (_members.Count - first > 1)
                inOrder &= _members.IsLastInOrder(_text.Written);
        }

        if (!inOrder && !_members.TrySort(first, _text, begin))
            return false;
        _members.DropFrom(first);
        _text.Add((byte)'}');
        return true;
    }
}
