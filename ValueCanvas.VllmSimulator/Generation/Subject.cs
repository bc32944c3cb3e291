using ValueCanvas.VllmSimulator.Generation.Business;
using ValueCanvas.VllmSimulator.Generation.Canvases;

namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>What an answer is drawn from: the request's text, or the business that a prompt describes, and its industry.</summary>
internal sealed class Subject
{
    private static readonly string[] DescriptionLabels =
        ["business description", "business_description", "businessdescription", "business idea", "description of the business",
            "company description"];

    private static readonly string[] NextLabels =
    [
        "industry", "canvas type", "canvas:", "type:", "instruction", "respond", "return", "answer", "output", "format", "fill", "write",
            "generate",
        "rules", "each ", "use ", "</", "\"\"\"", "```", "---",
    ];

    private readonly string _description;
    private readonly string? _industry;

    private Subject(string description, string? industry) => (_description, _industry) = (description, industry);

    public KeyPhrases Phrases => field ??= KeyPhrases.Of(_description);

    public BusinessProfile Business => field ??= BusinessReader.Read(_description);

    public CanvasDraft Draft => field ??= new CanvasDraft(Business, Label(_industry));

    /// <summary>As the text names it, or a word for the market at large.</summary>
    public string Industry => _industry ?? "the market";

    public static Subject Of(string text)
    {
        var description = After(text, DescriptionLabels, wholeParagraphs: true) ?? text;
        var industry = After(text, ["industry"], wholeParagraphs: false)?.Trim().TrimEnd('.');
        return new Subject(description, string.IsNullOrWhiteSpace(industry) || industry.Length > 60 ? null : industry);
    }

    // "Food Industry" becomes "food", to stand before "sector"; null for what is no plain name.
    private static string? Label(string? industry)
    {
        if (industry is null || !industry.All(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '&'))
            return null;
        var words = industry.Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(word => word.Skip(1).Any(char.IsUpper) ? word : word.ToLowerInvariant())
            .Where(word => word is not ("industry" or "sector" or "the")).ToArray();
        return words.Length is > 0 and <= 4 ? string.Join(' ', words) : null;
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
                if (end > start)
                    return text[start..end];
            }
        }
        return null;
    }

    private static int Find(string text, string label, int from) => from >= text.Length ? -1
        : text.IndexOf(label, from, StringComparison.OrdinalIgnoreCase);

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
