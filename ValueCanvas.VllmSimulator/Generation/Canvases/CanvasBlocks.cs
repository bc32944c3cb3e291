using System.Collections.Frozen;

namespace ValueCanvas.VllmSimulator.Generation.Canvases;

/// <summary>The blocks of the value proposition, business model and lean canvases, found by property name in any spelling.</summary>
internal static class CanvasBlocks
{
    private static readonly FrozenDictionary<string, string> Keys = Build();
    private static readonly FrozenDictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> ByName = Keys.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>The block that a property of this name holds; null when it is none.</summary>
    public static string? KeyOf(string name)
    {
        if (name.Length is 0 or > 64)
            return null;

        Span<char> letters = stackalloc char[name.Length];
        var count = 0;
        foreach (var c in name)
        {
            if (char.IsLetter(c))
                letters[count++] = char.ToLowerInvariant(c);
        }
        return ByName.TryGetValue(letters[..count], out var key) ? key : null;
    }

    /// <summary>The index-th sentence of a block; consecutive ones differ.</summary>
    public static string Sentence(string block, Subject subject, ulong variant, int index)
    {
        var templates = CanvasSentences.Of(block);
        var start = (int)(variant % (ulong)templates.Length);
        var template = templates[(start + index) % templates.Length];
        var phrases = subject.Phrases;
        // Topics other than the offer and the people, so that a sentence does not say the same thing twice.
        var topics = phrases.All.Where(phrase => phrase != phrases.Offer && phrase != phrases.People && !phrases.Places.Contains(phrase)).DefaultIfEmpty("quality").ToArray();
        var round = index / templates.Length;
        var text = template
            .Replace("{offer}", phrases.Offer)
            .Replace("{people}", phrases.People)
            .Replace("{industry}", subject.Industry)
            .Replace("{topic}", topics[(index + round) % topics.Length])
            .Replace("{other}", topics[(index + round + 1) % topics.Length]);
        return char.ToUpperInvariant(text[0]) + text[1..];
    }

    private static FrozenDictionary<string, string> Build()
    {
        var keys = new Dictionary<string, string>();
        foreach (var block in CanvasSentences.Blocks)
            keys[block] = block;
        foreach (var (alias, block) in CanvasSentences.Aliases)
            keys[alias] = block;
        return keys.ToFrozenDictionary();
    }
}
