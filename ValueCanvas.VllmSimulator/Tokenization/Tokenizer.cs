using System.Globalization;
using System.Text;

namespace ValueCanvas.VllmSimulator.Tokenization;

/// <summary>
/// A tokenizer without a vocabulary file: the id says the text. A word piece is up to five letters of one word with the space before
/// them and a capital at the start; digits go in threes, line breaks, runs of spaces and punctuation pairs are single tokens, any other
/// character is its code point. English comes to about four characters a token, any string decodes to itself, and ids never change.
/// </summary>
internal static class Tokenizer
{
    public const int BeginOfText = 128_000;
    public const int EndOfTurn = 128_009;
    private const int DigitsBase = 1_000;
    private const int SpacesBase = 3_000;
    private const int BreaksBase = 3_100;
    private const int PairsBase = 10_000;
    private const int CodePointBase = 200_000;
    private const int WordBase = 2_000_000;
    private const int MaxPiece = 5;
    private const int MaxSpaces = 64;

    private static readonly (string Text, int Id)[] Special =
    [
        ("<|begin_of_text|>", BeginOfText), ("<|start_header_id|>", 128_006), ("<|end_header_id|>", 128_007),
        ("<|eom_id|>", 128_008), ("<|eot_id|>", EndOfTurn),
    ];

    public static int[] Encode(string text)
    {
        var tokens = new List<int>(text.Length / 3 + 8);
        for (var rest = text.AsSpan(); rest.Length > 0;)
        {
            rest = rest[Read(rest, out var id)..];
            tokens.Add(id);
        }
        return [.. tokens];
    }

    /// <summary>The tokens, and for each the offset in the text at which it ends.</summary>
    public static (List<int> Tokens, List<int> Ends) EncodeWithEnds(string text)
    {
        var tokens = new List<int>(text.Length / 3 + 8);
        var ends = new List<int>(text.Length / 3 + 8);
        for (var at = 0; at < text.Length;)
        {
            at += Read(text.AsSpan(at), out var id);
            tokens.Add(id);
            ends.Add(at);
        }
        return (tokens, ends);
    }

    public static string Decode(ReadOnlySpan<int> tokens)
    {
        var text = new StringBuilder(tokens.Length * 4);
        foreach (var token in tokens)
            Append(text, token);
        return text.ToString();
    }

    public static string Decode(int token) => Decode([token]);

    /// <summary>Whether the id is one that <see cref="Encode"/> can give, so that decoding it makes sense.</summary>
    public static bool IsKnown(int token) => token switch
    {
        < 128 => token >= 0,
        >= DigitsBase and < DigitsBase + 1110 => true,
        >= SpacesBase + 2 and <= SpacesBase + MaxSpaces => true,
        >= BreaksBase + 2 and <= BreaksBase + MaxSpaces => true,
        >= PairsBase and < PairsBase + 128 * 128 => true,
        BeginOfText or 128_006 or 128_007 or 128_008 or EndOfTurn => true,
        >= CodePointBase and <= CodePointBase + 0x10FFFF => true,
        _ => token >= WordBase && (token - WordBase) / 4 < PieceCount,
    };

    private static int PieceCount { get; } = Offset(MaxPiece + 1);

    private static int Read(ReadOnlySpan<char> text, out int id)
    {
        var first = text[0];
        if (first is '<' && ReadSpecial(text, out id) is var special and > 0)
            return special;
        if (ReadWord(text, out id) is var word and > 0)
            return word;
        if (char.IsAsciiDigit(first))
            return ReadDigits(text, out id);
        if (first is ' ' or '\n' && ReadRun(text, first, out id) is var run and > 0)
            return run;
        if (first < 128 && text.Length > 1 && char.IsAscii(text[1]) && IsPunctuation(first) && IsPunctuation(text[1]))
        {
            id = PairsBase + first * 128 + text[1];
            return 2;
        }
        if (first < 128)
        {
            id = first;
            return 1;
        }
        if (char.IsHighSurrogate(first) && text.Length > 1 && char.IsLowSurrogate(text[1]))
        {
            id = CodePointBase + char.ConvertToUtf32(first, text[1]);
            return 2;
        }
        id = CodePointBase + first;
        return 1;
    }

    private static bool IsPunctuation(char c) => char.IsPunctuation(c) || char.IsSymbol(c);

    private static int ReadSpecial(ReadOnlySpan<char> text, out int id)
    {
        foreach (var (literal, value) in Special)
        {
            if (text.StartsWith(literal, StringComparison.Ordinal))
            {
                id = value;
                return literal.Length;
            }
        }
        id = 0;
        return 0;
    }

    // [space][Capital]lowercase…, up to five letters; a capital inside a word starts a new piece.
    private static int ReadWord(ReadOnlySpan<char> text, out int id)
    {
        id = 0;
        var space = text[0] == ' ' ? 1 : 0;
        if (text.Length <= space || !char.IsAsciiLetter(text[space]))
            return 0;

        var capital = char.IsAsciiLetterUpper(text[space]) ? 1 : 0;
        var length = 1;
        var value = (text[space] | 0x20) - 'a';
        while (length < MaxPiece && space + length < text.Length && char.IsAsciiLetterLower(text[space + length]))
            value = value * 26 + (text[space + length++] - 'a');
        id = WordBase + ((Offset(length) + value) * 2 + capital) * 2 + space;
        return space + length;
    }

    private static int ReadDigits(ReadOnlySpan<char> text, out int id)
    {
        var length = 1;
        var value = text[0] - '0';
        while (length < 3 && length < text.Length && char.IsAsciiDigit(text[length]))
            value = value * 10 + (text[length++] - '0');
        id = DigitsBase + value + length switch { 1 => 0, 2 => 10, _ => 110 };
        return length;
    }

    private static int ReadRun(ReadOnlySpan<char> text, char character, out int id)
    {
        var length = 1;
        while (length < text.Length && length < MaxSpaces && text[length] == character)
            length++;
        // A word takes the space before it with it.
        if (character == ' ' && length < text.Length && length > 1 && char.IsAsciiLetter(text[length]))
            length--;
        id = (character == ' ' ? SpacesBase : BreaksBase) + length;
        return length > 1 ? length : 0;
    }

    private static void Append(StringBuilder text, int token)
    {
        switch (token)
        {
            case >= 0 and < 128:
                text.Append((char)token);
                break;
            case >= DigitsBase and < DigitsBase + 10:
                text.Append(token - DigitsBase);
                break;
            case >= DigitsBase + 10 and < DigitsBase + 110:
                text.Append((token - DigitsBase - 10).ToString("00", CultureInfo.InvariantCulture));
                break;
            case >= DigitsBase + 110 and < DigitsBase + 1110:
                text.Append((token - DigitsBase - 110).ToString("000", CultureInfo.InvariantCulture));
                break;
            case > SpacesBase and <= SpacesBase + MaxSpaces:
                text.Append(' ', token - SpacesBase);
                break;
            case > BreaksBase and <= BreaksBase + MaxSpaces:
                text.Append('\n', token - BreaksBase);
                break;
            case >= PairsBase and < PairsBase + 128 * 128:
                text.Append((char)((token - PairsBase) / 128)).Append((char)((token - PairsBase) % 128));
                break;
            case >= WordBase:
                AppendWord(text, token - WordBase);
                break;
            case >= CodePointBase and <= CodePointBase + 0xFFFF:
                text.Append((char)(token - CodePointBase));
                break;
            case > CodePointBase and <= CodePointBase + 0x10FFFF:
                text.Append(char.ConvertFromUtf32(token - CodePointBase));
                break;
            default:
                text.Append(Array.Find(Special, item => item.Id == token).Text);
                break;
        }
    }

    private static void AppendWord(StringBuilder text, int packed)
    {
        if ((packed & 1) == 1)
            text.Append(' ');
        var capital = (packed & 2) != 0;
        var value = packed >> 2;
        var length = 1;
        while (value >= Offset(length + 1))
            length++;
        value -= Offset(length);
        Span<char> letters = stackalloc char[MaxPiece];
        for (var i = length - 1; i >= 0; i--, value /= 26)
            letters[i] = (char)('a' + value % 26);
        if (capital)
            letters[0] = char.ToUpperInvariant(letters[0]);
        text.Append(letters[..length]);
    }

    /// <summary>How many pieces are shorter than the length.</summary>
    private static int Offset(int length) => length switch { 1 => 0, 2 => 26, 3 => 702, 4 => 18_278, 5 => 475_254, _ => 12_356_630 };
}
