using ValueCanvas.VllmSimulator.Generation.Business;

namespace ValueCanvas.VllmSimulator.Generation.Canvases;

/// <summary>The sentences of one business, block by block: those of its kind mixed with those that use its own words.</summary>
internal sealed class CanvasDraft
{
    public const int MaxSentence = 120;

    private readonly Dictionary<string, string?> _slots;
    private readonly CanvasKind _kind;

    public CanvasDraft(BusinessProfile profile, string? industry)
    {
        _kind = CanvasKind.Of(profile, industry);
        var offers = profile.Offers.Count > 0 ? [.. profile.Offers] : (List<string>)[DefaultOffer(profile)];
        if (_kind.OfferOf is { } pattern && profile.Offers.Count > 0 && !offers[0].Contains(' ') && !Lexicon.IsPlural(offers[0]))
            offers[0] = pattern.Replace("{field}", offers[0]);
        if (_kind.Carries is { } carrying && profile.Offers.Count > 0)
            offers[0] = carrying.Replace("{field}", offers[0]);
        var bare = Bare(offers[0]);
        _slots = new Dictionary<string, string?>
        {
            ["offer"] = offers[0],
            ["offerbare"] = bare,
            ["goods"] = _kind.IsFree || _kind.Carries is not null || offers[0] == _kind.Offer
                || offers[0].StartsWith("the ", StringComparison.Ordinal) ? null : offers[0],
            ["wares"] = _kind.HasWares && profile.Offers.Count > 0 ? bare : null,
            ["offer2"] = offers.Count > 1 ? offers[1] : null,
            ["customers"] = profile.Customers.Count > 0 ? profile.Customers[0] : _kind.Customers,
            ["customers2"] = profile.Customers.Count > 1 ? profile.Customers[1] : null,
            ["topic"] = profile.Topics.Find(topic => !bare.Contains(topic, StringComparison.OrdinalIgnoreCase)
                && !Lexicon.IsPeople(topic)),
            ["place"] = profile.Place,
            ["activity"] = profile.Activity,
            ["delivery"] = profile.Delivery,
            ["channel"] = profile.Channel,
            ["industry"] = profile.FirstWords is null ? industry : null,
        };
    }

    /// <summary>The main customers, as a label: "Small offices in Lisbon".</summary>
    public string Segment => Capital(_slots["customers"]! + (_slots["place"] is { } place ? $" {place}" : ""));

    /// <summary>All sentences that a block has here, each different.</summary>
    public List<string> Sentences(string block, ulong variant)
    {
        var own = Filled(_kind.Sentences(block), variant);
        if (_kind == CanvasKind.Generic)
            return own;

        // Kind and business take turns.
        var generic = CanvasKind.Generic.Sentences(block);
        var specific = Filled([.. generic.Where(line => line.Contains('{'))], block == "customersegments" ? 0 : variant / 7);
        var plain = Filled([.. generic.Where(line => !line.Contains('{'))], variant);
        var mixed = new List<string>();
        for (var i = 0; i < Math.Max(own.Count, specific.Count); i++)
        {
            if (i < own.Count)
                mixed.Add(own[i]);
            if (i < specific.Count)
                mixed.Add(specific[i]);
        }
        mixed.AddRange(plain);
        return [.. mixed.Distinct()];
    }

    private List<string> Filled(IReadOnlyList<string> lines, ulong variant)
    {
        var filled = new List<string>(lines.Count);
        for (var i = 0; i < lines.Count; i++)
        {
            if (Fill(lines[(i + (int)(variant % (ulong)lines.Count)) % lines.Count]) is { } sentence)
                filled.Add(sentence);
        }
        return filled;
    }

    private string? Fill(string line)
    {
        if (line.StartsWith("$ ", StringComparison.Ordinal))
        {
            if (_kind.IsFree)
                return null;
            line = line[2..];
        }
        for (int open; (open = line.IndexOf('{')) >= 0;)
        {
            var close = line.IndexOf('}', open);
            if (_slots.GetValueOrDefault(line[(open + 1)..close].ToLowerInvariant()) is not { } value)
                return null;
            line = string.Concat(line.AsSpan(0, open), value, line.AsSpan(close + 1));
        }
        return line.Length <= MaxSentence ? Capital(line) : null;
    }

    private string DefaultOffer(BusinessProfile profile)
    {
        if (profile.Venture is { } venture && Lexicon.Products.Contains(Lexicon.Head(venture)))
            return Lexicon.IsPlural(venture) ? venture : $"the {venture}";
        return _kind.OfferOf is { } pattern && profile.Topics.Count > 0 && !profile.Topics[0].Contains(' ')
            ? pattern.Replace("{field}", profile.Topics[0]) : _kind.Offer;
    }

    private static string Bare(string phrase) => phrase.StartsWith("a ", StringComparison.Ordinal) ? $"the {phrase[2..]}"
        : phrase.StartsWith("an ", StringComparison.Ordinal) ? $"the {phrase[3..]}" : phrase;

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
