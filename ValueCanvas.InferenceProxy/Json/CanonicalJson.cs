using System.Runtime.Intrinsics;

namespace ValueCanvas.InferenceProxy.Json;

/// <summary>
/// What counts of a JSON text, piece by piece: each string behind one quote as what it means, however it is escaped, everything else as it
/// is written; no space or colon between them. Two texts that say the same with other spaces and escapes come out alike.
/// </summary>
/// <param name="json">Valid JSON.</param>
internal ref struct CanonicalJson(ReadOnlySpan<byte> json)
{
    private readonly ReadOnlySpan<byte> _json = json;
    private int _at;
    private bool _inString;

    /// <summary>Writes what comes next, as far as there is room, and says how much that is; zero at the end.</summary>
    /// <param name="to">At least <see cref="JsonEscapes.MostBytes"/>.</param>
    public int Read(Span<byte> to)
    {
        var written = 0;
        while (_at < _json.Length && to.Length - written >= JsonEscapes.MostBytes)
        {
            if (_inString)
            {
                written += ReadText(to[written..]);
            }
            else if (_json[_at++] is var one and not ((byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t' or (byte)':'))
            {
                to[written++] = one;
                _inString = one == '"';
            }
        }

        return written;
    }

    /// <summary>Up to the next quote or escape, and that.</summary>
    private int ReadText(Span<byte> to)
    {
        var run = CopyRun(_json[_at..], to);
        _at += run;
        if (_at == _json.Length || to.Length - run < JsonEscapes.MostBytes)
            return run;

        if (_json[_at] == '"')
        {
            _at++;
            _inString = false;
            return run;
        }

        _at += JsonEscapes.Read(_json[_at..], to[run..], out var means);
        return run + means;
    }

    /// <summary>Copies up to the first quote or backslash, or as far as there is room.</summary>
    private static int CopyRun(ReadOnlySpan<byte> text, Span<byte> to)
    {
        var (copied, most) = (0, Math.Min(text.Length, to.Length));
        var (quote, escape) = (Vector256.Create((byte)'"'), Vector256.Create((byte)'\\'));
        while (most - copied >= Vector256<byte>.Count)
        {
            var bytes = Vector256.Create(text[copied..]);
            bytes.CopyTo(to[copied..]);
            var ends = (Vector256.Equals(bytes, quote) | Vector256.Equals(bytes, escape)).ExtractMostSignificantBits();
            if (ends != 0)
                return copied + int.TrailingZeroCount((int)ends);

            copied += Vector256<byte>.Count;
        }

        for (; copied < most && text[copied] is var one and not ((byte)'"' or (byte)'\\'); copied++)
            to[copied] = one;

        return copied;
    }
}
