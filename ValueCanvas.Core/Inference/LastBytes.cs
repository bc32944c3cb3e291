namespace ValueCanvas.Core.Inference;

/// <summary>
/// The last bytes of an answer that passes, at least 8 KiB of them where there are so many: servers write its <c>usage</c> there.
/// </summary>
public sealed class LastBytes
{
    private const int Kept = 8 * 1024;

    private readonly byte[] _bytes = new byte[2 * Kept];
    private int _length;

    /// <summary>What has been kept, oldest first.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _length);

    /// <summary>The next bytes of the answer.</summary>
    public void Note(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > Kept)
            bytes = bytes[^Kept..];
        if (_length + bytes.Length > _bytes.Length)
        {
            _bytes.AsSpan(_length - Kept, Kept).CopyTo(_bytes);
            _length = Kept;
        }

        bytes.CopyTo(_bytes.AsSpan(_length));
        _length += bytes.Length;
    }
}
