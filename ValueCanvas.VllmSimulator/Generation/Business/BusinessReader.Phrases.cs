namespace ValueCanvas.VllmSimulator.Generation.Business;

/// <summary>Noun phrases: where they end, and what they stand for.</summary>
internal sealed partial class BusinessReader
{
    private void Phrase(string? article)
    {
        var first = _words[_at];
        var parts = new List<string>();
        for (; _at < _words.Count && parts.Count < MaxPhraseWords + 2; _at++)
        {
            var word = _words[_at];
            var breaks = parts.Count > 0 && (word.StartsSentence || word.AfterComma || Lexicon.IsPlainlyVerb(word.Lower)
                || Lexicon.Participles.Contains(word.Lower)
                || (_role == Role.Place && first.IsName && !word.IsName && !Lexicon.PlaceWords.Contains(word.Lower))
                || (_role is Role.CustomerOrOffer or Role.Customer or Role.CustomerOrTopic && Lexicon.IsVerb(word.Lower)
                    && Lexicon.IsPeople(parts[^1])));
            if (breaks || Lexicon.Articles.Contains(word.Lower) || Lexicon.Pronouns.Contains(word.Lower)
                || Lexicon.Relatives.Contains(word.Lower) || Lexicon.Adverbs.Contains(word.Lower)
                || (Lexicon.Connectors.Contains(word.Lower) && !(word.Lower == "of" && parts.Count > 0 && JoinsOf(_at, parts.Count))))
            {
                break;
            }

            parts.Add(word.Inner);
        }
        if (parts.Count == 0)
        {
            _at++;
            return;
        }
        while (parts.Count > 1 && (parts[^1] == "of" || Lexicon.Trailing.Contains(parts[^1])))
            parts.RemoveAt(parts.Count - 1);
        if (parts.Count > MaxPhraseWords && !parts.Contains("of"))
            parts.RemoveRange(0, parts.Count - MaxPhraseWords);
        var text = string.Join(' ', parts);
        if ((!_aside || _doing is not null) && text.Length is > 1 and <= MaxPhraseLength
            && !(parts.Count == 1 && Lexicon.Empty.Contains(text)))
        {
            Assign(text, first, article);
        }
        else if (_role == Role.CustomerOrOffer)
        {
            _role = Role.Customer;
        }

        // After customers a verb may follow: "helps bakeries cut waste".
        _verbExpected = _lastRole == Role.Customer && _role is Role.Customer or Role.Place && !_aside && _at < _words.Count
            && Lexicon.IsVerb(_words[_at].Lower) && !_words[_at].AfterComma && !_words[_at].StartsSentence;
    }

    private bool JoinsOf(int at, int parts) =>
        parts <= 2 && at + 1 < _words.Count && !Lexicon.Articles.Contains(_words[at + 1].Lower)
        && !Lexicon.Connectors.Contains(_words[at + 1].Lower) && !_words[at + 1].StartsSentence;

    private void Assign(string text, Word first, string? article)
    {
        if (_doing is { } verb)
        {
            _inActivity = true;
            _profile.Activity ??= $"{verb} {(article is "a" or "an" or "their" or "the" ? article + " " : "")}{text}";
            (_doing, _lastRole) = (null, Role.Topic);
            Add(_profile.Topics, text);
            return;
        }
        var withArticle = article is "a" or "an" ? $"{article} {text}" : text;
        switch (_role)
        {
            case Role.Venture when _profile.Venture is not null && _lastRole == Role.Venture && _profile.Name is null
                && article is "a" or "an":
                (_profile.Name, _profile.Venture) = (Capital(_profile.Venture!), text);
                break;
            case Role.Venture when _profile.Venture is null:
                _profile.Venture = text;
                break;
            case Role.Offer:
                Add(_profile.Offers, withArticle);
                break;
            case Role.CustomerOrOffer:
                if (Lexicon.IsPeople(text))
                    Customer(text);
                else
                    Add(_profile.Offers, withArticle);
                return;
            case Role.Customer or Role.CustomerOrTopic:
                if (Lexicon.IsPeople(text))
                    Customer(text);
                else
                    Topic(text, article);
                return;
            case Role.Place:
                if (first.IsName || Lexicon.PlaceWords.Contains(Lexicon.Head(text)))
                {
                    _profile.VentureHasPlace |= _profile.Place is null && _lastRole == Role.Venture;
                    _profile.Place ??= $"{_preposition} {(article == "the" ? "the " : "")}{text}";
                    return;
                }
                if (text == "need")
                {
                    if (_lastRole == Role.Customer && _profile.Customers.Count > 0)
                        _profile.Customers[^1] += " in need";
                }
                else if (!Lexicon.Empty.Contains(text))
                {
                    Add(_profile.Topics, text);
                }

                break;
            case Role.Means:
                if (_delivering && !Lexicon.TimeUnits.Contains(text))
                    _profile.Delivery ??= $"delivery by {text}";
                else if (!Lexicon.TimeUnits.Contains(text))
                    Add(_profile.Topics, text);
                break;
            case Role.Channel:
                if (article is "a" or "an" && Lexicon.Products.Contains(Lexicon.Head(text)))
                    _profile.Channel ??= withArticle;
                break;
            case Role.Topic or Role.Venture:
                Topic(text, article);
                break;
        }
        _lastRole = _role;
    }

    // One thing among others is a channel at most; what has no article is a field or a substance.
    private void Topic(string text, string? article)
    {
        if (article is "a" or "an" && Lexicon.Products.Contains(Lexicon.Head(text)))
            _profile.Channel ??= $"{article} {text}";
        else if (article is not ("a" or "an"))
            Add(_profile.Topics, text);
    }

    private void Customer(string text)
    {
        if (text != "people")
            Add(_profile.Customers, text is "children" or "kids" or "toddlers" or "babies" ? $"families with {text}" : text);
        (_role, _lastRole) = (Role.Customer, Role.Customer);
    }

    private static void Add(List<string> phrases, string phrase)
    {
        if (phrases.Count < 6 && !phrases.Exists(known => known.Contains(phrase, StringComparison.OrdinalIgnoreCase)))
            phrases.Add(phrase);
    }

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];
}
