namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>What an answer is drawn from: the request's text, or the business that a prompt describes, and its industry.</summary>
internal sealed class Subject
{
    private static readonly string[] DescriptionLabels =
        ["business description", "business_description", "businessdescription", "business idea", "description of the business", "company description"];

    private static readonly string[] NextLabels =
    [
        "industry", "canvas type", "canvas:", "type:", "instruction", "respond", "return", "answer", "output", "format", "fill", "write", "generate",
        "rules", "each ", "use ", "</", "\"\"\"", "```", "---",
    ];

    private Subject(KeyPhrases phrases, string industry)
    {
        Phrases = phrases;
        Industry = industry;
    }

    public KeyPhrases Phrases { get; }

    public string Industry { get; }

    public static Subject Of(string text)
    {
        var description = After(text, DescriptionLabels, wholeParagraphs: true) ?? text;
        var industry = After(text, ["industry"], wholeParagraphs: false)?.Trim().TrimEnd('.');
        return new Subject(KeyPhrases.Of(description), string.IsNullOrWhiteSpace(industry) || industry.Length > 60 ? "the market" : industry);
    }

    private static string? After(string text, string[] labels, bool wholeParagraphs)
    {
        foreach (var label in labels)
        {
            for (var at = Find(text, label, 0); at >= 0; at = Find(text, label, at + 1))
            {
                var start = at + label.Length;
                while (start < text.Length && text[start] is '*' or '"' or ' ' or '_')
                    start++;
                if (start >= text.Length || text[start] is not (':' or '>' or '\n' or '='))
                    continue;

                start++;
                while (start < text.Length && text[start] is ' ' or '\n' or '"' or '*')
                    start++;
                var end = End(text, start, wholeParagraphs);
                if (end - start > 1)
                    return text[start..end];
            }
        }
        return null;
    }

    private static int Find(string text, string label, int from) => from >= text.Length ? -1 : text.IndexOf(label, from, StringComparison.OrdinalIgnoreCase);

    private static int End(string text, int start, bool wholeParagraphs)
    {
        for (var i = start; i < text.Length; i++)
        {
            if (text[i] == '<' && i + 1 < text.Length && text[i + 1] == '/')
                return i;
            if (text[i] != '\n')
                continue;
            if (!wholeParagraphs)
                return i;

            var rest = text.AsSpan(i).TrimStart();
            foreach (var label in NextLabels)
            {
                if (rest.StartsWith(label, StringComparison.OrdinalIgnoreCase))
                    return i;
            }
        }
        return text.Length;
    }
}
