using System.Collections.Frozen;
using ValueCanvas.VllmSimulator.Generation.Business;

namespace ValueCanvas.VllmSimulator.Generation;

/// <summary>
/// What a text is about: runs of one to three content words between function words, most frequent and earliest first (the idea of
/// RAKE), and two roles that business texts have, the offer and the people it is for.
/// </summary>
internal sealed class KeyPhrases
{
    /// <summary>Stands for what a text is about where it names nothing.</summary>
    public const string Nothing = "this topic";

    private const int MaxText = 8_000;

    private static readonly FrozenSet<string> Function = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
        ("a an the and or but nor so if then than that this these those there here it its is are was were be been being am do "
        + "does did doing have has had having will would shall should can could may might must not no yes of in on at by to from "
        + "with without within into onto over under about between through during before after above below up down out off again "
        + "further once for as while because until against among i you he she we they me him her us them my your his our their "
        + "mine yours who whom whose which what when where why how all any both each few more most other some such only own same "
        + "too very just also even ever every many much per via please tell write give explain describe help helps helping let "
        + "lets letting make makes making made allow allows allowing enable enables enabling offer offers offering provide "
        + "provides providing sell sells selling want wants wanting need needs needing use uses using used get gets getting cut "
        + "cuts reduce reduces create creates generate connect connects serve serves support supports save saves find finds "
        + "deliver delivers delivering run runs turn turns based like called named say says show shows list one two three new "
        + "good best better great it's i'm don't answer question business description industry company which whose").Split(' '));

    private static readonly string[] PeopleEndings =
    [
        "ers", "ors", "ists", "ants", "ents", "ees", "owners", "people", "families", "teams", "companies", "businesses", "bakeries",
            "shops",
        "restaurants", "parents", "schools", "clinics", "hospitals", "farms", "households", "women", "men", "children", "kids", "startups",
        "freelancers", "smes", "retailers", "cities", "brands", "agencies", "firms", "cafes", "studios", "hotels", "professionals",
            "seniors",
    ];

    private static readonly FrozenSet<string> BeforePeople = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
        "for", "help", "helps", "helping", "lets", "let", "allows", "enables", "gives", "serves", "serving", "connects", "connecting",
            "supports", "targeting");

    private static readonly FrozenSet<string> Articles = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
        "a", "an", "the", "this", "our", "my", "your", "their", "its");

    private static readonly FrozenSet<string> BeforePlaces =
        FrozenSet.Create(StringComparer.OrdinalIgnoreCase, "in", "at", "near", "around", "by", "via", "per", "as");

    // Said of a thing rather than a thing: no phrase is made of them alone, and none ends with one.
    private static readonly FrozenSet<string> Qualities = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
        ("special successful different important popular possible unique cheap expensive profitable attractive useful better-known "
        + "interesting worth leave happen happens come comes summarise summarize translate compare improve hello hi hey thanks "
        + "interesting sustainable effective efficient easy hard difficult today now work works matter matters mean means").Split(' '));

    private string[]? _besides;

    /// <summary>The phrases, the most telling first; one thing has its article ("the app"). Never empty.</summary>
    public required IReadOnlyList<string> All { get; init; }

    public required string Offer { get; init; }

    public required string People { get; init; }

    /// <summary>The text's first word in small letters, which tells a question from a task.</summary>
    public required string FirstWord { get; init; }

    /// <summary>Names after "in" or "at", in the text's order; often empty.</summary>
    public required IReadOnlyList<string> Places { get; init; }

    /// <summary>The phrases without the places, where there are enough of them.</summary>
    public IReadOnlyList<string> Topics => field ??= All.Count > Places.Count + 1 ? [.. All.Where(phrase => !Places.Contains(phrase))]
        : All;

    /// <summary>What a text is about first of all: its first thing, and where that is.</summary>
    public string Main => field ??= Places.Count > 0 && Offer.Length + Places[0].Length < 40 ? $"{Offer} in {Places[0]}" : Offer;

    /// <summary>Another thing that the text is about, or a word for the whole where it has no other.</summary>
    public string Besides(int index)
    {
        _besides ??= [.. Topics.Where(phrase => phrase != Offer && !Places.Contains(phrase)
            && (phrase.Contains(' ') || phrase.EndsWith('s')))];
        return _besides.Length == 0 ? "the everyday routine" : _besides[index % _besides.Length];
    }

    public string At(int index) => Topics[index % Topics.Count];

    public static KeyPhrases Of(string text)
    {
        if (text.Length > MaxText)
            text = text[..MaxText];

        var found = new Dictionary<string, (int Count, int First, bool Place)>(StringComparer.OrdinalIgnoreCase);
        var order = new List<string>();
        var places = new List<string>();
        string? people = null;
        foreach (var (run, before) in Runs(text))
        {
            var place = before is not null && BeforePlaces.Contains(before);
            var phrase = before is not null && Articles.Contains(before) && !run.EndsWith('s') ? $"the {run}" : run;
            if (found.TryGetValue(phrase, out var seen))
            {
                found[phrase] = seen with { Count = seen.Count + 1 };
                continue;
            }
            found[phrase] = (1, order.Count, place);
            order.Add(phrase);
            if (place && char.IsUpper(run[0]) && before!.Equals("in", StringComparison.OrdinalIgnoreCase))
            {
                places.Add(run);
            }
            else if (people is null && !place
                && (LooksLikePeople(run) || (before is not null && BeforePeople.Contains(before) && order.Count > 1)))
            {
                people = phrase;
            }
        }
        if (order.Count == 0 || order.Count(phrase => phrase.Split(' ').Any(Lexicon.Foreign.Contains)) * 2 > order.Count)
        {
            order.Clear();
            people = null;
            order.Add(Nothing);
            found[Nothing] = (1, 0, false);
        }

        return new KeyPhrases
        {
            All = [.. order.OrderByDescending(phrase => Weight(phrase, found[phrase])).Take(12)],
            Offer = order.Find(phrase => phrase != people && !found[phrase].Place) ?? order[0],
            People = people ?? "customers",
            Places = places,
            FirstWord = FirstWordOf(text),
        };
    }

    private static string FirstWordOf(string text)
    {
        var trimmed = text.AsSpan().TrimStart();
        var end = 0;
        while (end < trimmed.Length && end < 16 && char.IsLetter(trimmed[end]))
            end++;
        return trimmed[..end].ToString().ToLowerInvariant();
    }

    private static double Weight(string phrase, (int Count, int First, bool Place) seen) =>
        seen.Count + (phrase.Count(c => c == ' ') + 1) * 0.6 - seen.First * 0.02 - (seen.Place ? 2 : 0);

    private static bool LooksLikePeople(string phrase) =>
        Array.Exists(PeopleEndings, ending => phrase.EndsWith(ending, StringComparison.OrdinalIgnoreCase)
            && phrase.Length > ending.Length - 1);

    // Each run of content words, with the function word before it.
    private static IEnumerable<(string Phrase, string? Before)> Runs(string text)
    {
        var words = new List<string>(3);
        string? before = null;
        string? lastFunction = null;
        var sentenceStart = true;
        var start = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            if (i < text.Length && (char.IsLetterOrDigit(text[i]) || (text[i] is '\'' or '-' && i > start)))
                continue;

            if (i > start)
            {
                var word = text[start..i].Trim('-', '\'');
                var content = word.Length > 1 && !Function.Contains(word) && !char.IsAsciiDigit(word[0]);
                content &= !Qualities.Contains(word);
                // A place ends where the small letters begin: "in Lisbon profitable".
                if (content && words.Count > 0 && char.IsUpper(words[^1][0]) && char.IsLower(word[0]) && before is not null
                    && BeforePlaces.Contains(before))
                {
                    yield return (string.Join(' ', words), before);
                    words.Clear();
                    lastFunction = null;
                }
                if (content && words.Count < 3)
                {
                    if (words.Count == 0)
                        before = lastFunction;
                    words.Add(sentenceStart ? Lower(word) : word);
                }
                if (!content || words.Count == 3)
                {
                    if (words.Count > 0)
                        yield return (string.Join(' ', words), before);
                    words.Clear();
                }
                lastFunction = content ? null : word;
                sentenceStart = false;
            }
            sentenceStart |= i < text.Length && text[i] is '.' or '!' or '?' or ':' or '\n';
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
