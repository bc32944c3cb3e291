namespace ValueCanvas.Core.Usage.Metering;

/// <summary>
/// Finds the event that ends a stream as its bytes pass, wherever reads have cut it: <c>data: [DONE]</c>, or Anthropic's
/// <c>message_stop</c>.
/// </summary>
internal sealed class StreamEnd
{
    private static readonly byte[][] Ends =
    [
        "data: [DONE]"u8.ToArray(), "data:[DONE]"u8.ToArray(), "event: message_stop"u8.ToArray(), "event:message_stop"u8.ToArray(),
    ];

    private static readonly int Longest = Ends.Max(end => end.Length);

    private readonly byte[] _line = new byte[Longest]; // the beginning of the line that is under way
    private int _length; // of the line so far

    public bool HasCome { get; private set; }

    /// <summary>How many of the last bytes must wait, those of earlier calls included: the event that ends the stream, or what may be its
    /// beginning.
    /// </summary>
    public int Note(ReadOnlySpan<byte> bytes)
    {
        if (HasCome)
            return int.MaxValue;
        var before = _length;
        for (var at = 0; ;)
        {
            var rest = bytes[at..];
            var end = rest.IndexOf((byte)'\n');
            var part = end < 0 ? rest : rest[..end];
            if (_length < Longest)
                part[..Math.Min(part.Length, Longest - _length)].CopyTo(_line.AsSpan(_length));
            _length += part.Length;
            if (IsEnd())
            {
                HasCome = true;
                return bytes.Length - at + (at == 0 ? before : 0);
            }

            if (end < 0)
                return MayBecomeEnd() ? _length : 0;
            _length = 0;
            at += end + 1;
        }
    }

    private bool IsEnd()
    {
        foreach (var end in Ends)
        {
            if (_length >= end.Length && _line.AsSpan().StartsWith(end))
                return true;
        }

        return false;
    }

    private bool MayBecomeEnd()
    {
        if (_length is 0 || _length >= Longest)
            return false;
        foreach (var end in Ends)
        {
            if (_length < end.Length && end.AsSpan().StartsWith(_line.AsSpan(0, _length)))
                return true;
        }

        return false;
    }
}
