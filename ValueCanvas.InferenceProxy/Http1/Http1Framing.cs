using System.Buffers.Text;
using System.Text;

namespace ValueCanvas.InferenceProxy.Http1;

/// <summary>How the end of an answer's body is known, and whether the connection can be used after it.</summary>
internal struct Http1Framing
{
    /// <summary>Null: in chunks, or up to the connection's end.</summary>
    public long? Length { get; private set; }

    public bool IsChunked { get; private set; }

    public bool Close { get; set; }

    /// <summary>Whether the header belongs to the framing, and so does not pass.</summary>
    public bool Reads(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        if (Ascii.EqualsIgnoreCase(name, "content-length"u8))
        {
            if (value.ContainsAnyExceptInRange((byte)'0', (byte)'9') || !Utf8Parser.TryParse(value, out long length, out var read)
                || read != value.Length || (Length is { } before && before != length))
            {
                throw Malformed();
            }

            Length = length;
            return true;
        }

        if (Ascii.EqualsIgnoreCase(name, "transfer-encoding"u8))
        {
            IsChunked = !IsChunked && Ascii.EqualsIgnoreCase(value, "chunked"u8) ? true : throw Malformed();
            return true;
        }

        if (Ascii.EqualsIgnoreCase(name, "connection"u8))
        {
            Close |= !Ascii.EqualsIgnoreCase(value, "keep-alive"u8);
            return true;
        }

        return false;
    }

    public void End(bool hasNoBody)
    {
        if (hasNoBody)
        {
            (Length, IsChunked) = (0, false);
        }
        else if (IsChunked && Length is not null)
        {
            throw Malformed();
        }
    }

    private static HttpRequestException Malformed() => new(HttpRequestError.InvalidResponse, "The answer's framing is malformed.");
}
