using System.Globalization;
using System.Text.RegularExpressions;

namespace ValueCanvas.VllmSimulator.Generation.Business;

/// <summary>One word of a text, with what stands before it.</summary>
internal readonly record struct Word(string Text, string Lower, bool StartsSentence, bool AfterComma)
{
    public bool IsCapital => char.IsUpper(Text[0]);

    /// <summary>A name or an abbreviation: a capital that is not the sentence's.</summary>
    public bool IsName => IsCapital && (!StartsSentence || Text.Skip(1).Any(char.IsUpper));

    /// <summary>As inside a sentence: names and abbreviations keep their capitals.</summary>
    public string Inner => StartsSentence && !Text.Skip(1).Any(char.IsUpper) ? Lower : Text;
}

/// <summary>The words of the first part of a text, without addresses and signs.</summary>
internal static partial class WordReader
{
    private const int MaxText = 3_000;
    private const int MaxWords = 400;

    public static List<Word> Read(string text)
    {
        if (text.Length > MaxText)
            text = text[..MaxText];
        text = Address.Replace(text, " ");
        var words = new List<Word>();
        var (sentence, comma) = (true, false);
        for (var i = 0; i < text.Length && words.Count < MaxWords;)
        {
            var start = i;
            while (i < text.Length && (IsPart(text[i]) || (i > start && text[i] is '\'' or '’' or '-' && i + 1 < text.Length
                && IsPart(text[i + 1]))))
            {
                i++;
            }

            if (i > start)
            {
                var word = text[start..i];
                if (word.EndsWith("'s", StringComparison.Ordinal) || word.EndsWith("’s", StringComparison.Ordinal))
                    word = word[..^2];
                if (word.Length is > 0 and <= 24)
                {
                    words.Add(new Word(word, word.ToLowerInvariant(), sentence, comma));
                    (sentence, comma) = (false, false);
                }
                else
                {
                    comma = true;
                }
                continue;
            }
            if (text[i] is '.' or '!' or '?' or ':' or '\n' or ';' or '。')
                sentence = true;
            else if (text[i] == '&')
                words.Add(new Word("&", "&", sentence, false));
            else if (text[i] is ',' or '(' or ')' or '–' or '—' or '/' or '"' or '-' or '|' or '*' or '“' or '„')
                comma = true;
            i++;
        }
        return words;
    }

    private static bool IsPart(char c) => char.IsLetterOrDigit(c)
        || CharUnicodeInfo.GetUnicodeCategory(c) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;

    [GeneratedRegex(@"\S*(://|www\.|@)\S+", RegexOptions.None, matchTimeoutMilliseconds: 100)]
    private static partial Regex Address { get; }
}
