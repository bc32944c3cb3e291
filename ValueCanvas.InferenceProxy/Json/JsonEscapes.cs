using System.Buffers.Text;
using System.Text;

namespace ValueCanvas.InferenceProxy.Json;

/// <summary>The escapes in a JSON string. Clients differ in what they escape, and mean the same text.</summary>
internal static class JsonEscapes
{
    /// <summary>The most bytes that <see cref="Read"/> writes.</summary>
    public const int MostBytes = 6;

    private const int Short = 2; // \n
    private const int Unicode = 6; // \u00e9

    /// <summary>Reads the escape that the text begins with, and says how long it is. Half a surrogate pair means nothing and stays as it
    /// is.</summary>
    /// <param name="text">From the backslash on, of a valid JSON string.</param>
    /// <param name="means">What it stands for, in UTF-8.</param>
    /// <param name="written">How many bytes that is.</param>
    public static int Read(ReadOnlySpan<byte> text, Span<byte> means, out int written)
    {
        if (text[1] != (byte)'u')
        {
            means[0] = text[1] switch
            {
                (byte)'n' => (byte)'\n',
                (byte)'t' => (byte)'\t',
                (byte)'r' => (byte)'\r',
                (byte)'b' => (byte)'\b',
                (byte)'f' => (byte)'\f',
                var itself => itself,
            };
            written = 1;
            return Short;
        }

        var first = Unit(text);
        var rest = text[Unicode..];
        if (Rune.TryCreate(first, out var rune))
        {
            written = rune.EncodeToUtf8(means);
            return Unicode;
        }

        if (rest.StartsWith("\\u"u8) && Rune.TryCreate(first, Unit(rest), out rune))
        {
            written = rune.EncodeToUtf8(means);
            return 2 * Unicode;
        }

        text[..Unicode].CopyTo(means);
        written = Unicode;
        return Unicode;
    }

    private static char Unit(ReadOnlySpan<byte> escape) =>
        Utf8Parser.TryParse(escape.Slice(2, 4), out ushort unit, out _, 'x') ? (char)unit : default;
}
