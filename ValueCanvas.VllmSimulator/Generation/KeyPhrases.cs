using System.Collections.Frozen;

namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>
/// What a text is about: runs of one to three content words between function words, most frequent and earliest first (the idea of
/// RAKE), and two roles that business texts have, the offer and the people it is for.
/// </summary>
internal sealed class KeyPhrases
{
    private const int MaxText = 8_000;

    private static readonly FrozenSet<string> Function = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
        ("a an the and or but nor so if then than that this these those there here it its is are was were be been being am do does did doing have has "
        + "had having will would shall should can could may might must not no yes of in on at by to from with without within into onto over under "
        + "about between through during before after above below up down out off again further once for as while because until against among "
        + "i you he she we they me him her us them my your his our their mine yours who whom whose which what when where why how all any both each "
        + "few more most other some such only own same too very just also even ever every many much per via please tell write give explain describe "
        + "help helps helping let lets letting make makes making made allow allows allowing enable enables enabling offer offers offering provide "
        + "provides providing sell sells selling want wants wanting need needs needing use uses using used get gets getting cut cuts reduce reduces "
        + "create creates generate connect connects serve serves support supports save saves find finds deliver delivers delivering run runs turn "
        + "turns based like called named say says show shows list one two three new good best better great it's i'm don't "
        + "answer question business description industry company which whose").Split(' '));

    private static readonly string[] PeopleEndings =
    [
        "ers", "ors", "ists", "ants", "ents", "ees", "owners", "people", "families", "teams", "companies", "businesses", "bakeries", "shops",
        "restaurants", "parents", "schools", "clinics", "hospitals", "farms", "households", "women", "men", "children", "kids", "startups",
        "freelancers", "smes", "retailers", "cities", "brands", "agencies", "firms", "cafes", "studios", "hotels", "professionals", "seniors",
    ];

    private static readonly FrozenSet<string> BeforePeople = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
        "for", "help", "helps", "helping", "lets", "let", "allows", "enables", "gives", "serves", "serving", "connects", "connecting", "supports", "targeting");

    private KeyPhrases(IReadOnlyList<string> all, string offer, string people)
    {
        All = all;
        Offer = offer;
        People = people;
    }

    /// <summary>Lower-case phrases, the most telling first; never empty.</summary>
    public IReadOnlyList<string> All { get; }

    public string Offer { get; }

    public string People { get; }

    public string At(int index) => All[index % All.Count];

    public static KeyPhrases Of(string text)
    {
        if (text.Length > MaxText)
            text = text[..MaxText];

        var found = new Dictionary<string, (int Count, int First)>(StringComparer.OrdinalIgnoreCase);
        var order = new List<string>();
        string? people = null;
        var expectPeople = false;
        foreach (var (phrase, before) in Runs(text))
        {
            expectPeople = before is not null && BeforePeople.Contains(before);
            found[phrase] = found.TryGetValue(phrase, out var seen) ? (seen.Count + 1, seen.First) : (1, order.Count);
            if (found[phrase].Count == 1)
                order.Add(phrase);
            if (people is null && (LooksLikePeople(phrase) || (expectPeople && order.Count > 1)))
                people = phrase;
        }
        if (order.Count == 0)
            order.Add("this topic");

        var ranked = order.OrderByDescending(phrase => Weight(phrase, found)).Take(12).ToArray();
        var offer = order.Find(phrase => phrase != people) ?? order[0];
        return new KeyPhrases(ranked, offer, people ?? "customers");
    }

    private static double Weight(string phrase, Dictionary<string, (int Count, int First)> found)
    {
        var (count, first) = found.TryGetValue(phrase, out var seen) ? seen : (1, 0);
        var words = phrase.Count(c => c == ' ') + 1;
        return count + words * 0.6 - first * 0.02;
    }

    private static bool LooksLikePeople(string phrase) =>
        Array.Exists(PeopleEndings, ending => phrase.EndsWith(ending, StringComparison.OrdinalIgnoreCase) && phrase.Length > ending.Length - 1);

    // Each run of content words, with the function word before it.
    private static IEnumerable<(string Phrase, string? Before)> Runs(string text)
    {
        var words = new List<string>(3);
        string? before = null;
        string? lastFunction = null;
        var start = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && (char.IsLetterOrDigit(text[i]) || (text[i] is '\'' or '-' && i > start)))
                continue;

            if (i > start)
            {
                var word = text[start..i].Trim('-', '\'');
                var content = word.Length > 1 && !Function.Contains(word) && !char.IsAsciiDigit(word[0]);
                if (content && words.Count < 3)
                {
                    if (words.Count == 0)
                        before = lastFunction;
                    words.Add(Lower(word));
                }
                if (!content || words.Count == 3)
                {
                    if (words.Count > 0)
                        yield return (string.Join(' ', words), before);
                    words.Clear();
                }
                lastFunction = content ? null : word;
            }
            var breaks = i == text.Length || (text[i] is not ' ' and not '-' and not '\'');
            if (breaks && words.Count > 0)
            {
                yield return (string.Join(' ', words), before);
                words.Clear();
            }
            start = i + 1;
        }
    }

    // Names and abbreviations keep their capitals inside; a capital at the start is mostly that of a sentence.
    private static string Lower(string word) => word.Skip(1).Any(char.IsUpper) ? word : word.ToLowerInvariant();
}
