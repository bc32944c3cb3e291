namespace ValueCanvas.VllmSimulator.Generation.Business;

/// <summary>
/// Reads a description phrase by phrase: prepositions, verbs and relative words say what the next noun phrase stands for.
/// </summary>
internal sealed partial class BusinessReader
{
    private const int MaxPhraseWords = 4;
    private const int MaxPhraseLength = 34;

    private readonly List<Word> _words;
    private readonly BusinessProfile _profile;
    private Role _role = Role.Venture;
    private Role _lastRole = Role.None;
    private string? _doing;
    private bool _verbExpected;
    private bool _delivering;
    private bool _aside;
    private bool _wanting;
    private string _preposition = "in";
    private bool _inActivity;
    private int _at;

    private BusinessReader(List<Word> words)
    {
        _words = words;
        _profile = new BusinessProfile { Words = [.. words.Select(word => word.Lower)] };
    }

    private enum Role
    {
        None,
        Venture,
        Offer,
        Customer,
        CustomerOrOffer,
        CustomerOrTopic,
        Topic,
        Place,
        Means,
        Channel,
    }

    public static BusinessProfile Read(string description)
    {
        var words = WordReader.Read(description);
        var reader = new BusinessReader(words);
        if (LooksEnglish(words))
            reader.Walk();
        else
            reader._profile.FirstWords = FirstWords(words);
        reader._profile.Title = Titles.Of(reader._profile, description);
        return reader._profile;
    }

    // Short texts are taken for keywords; longer ones must have English function words, and more of them than others.
    private static bool LooksEnglish(List<Word> words)
    {
        if (words.Exists(word => word.Text.Any(c => char.IsLetter(c) && c > '\u024F')))
            return false;
        var function = words.Count(word => Lexicon.Articles.Contains(word.Text) || Lexicon.Connectors.Contains(word.Text)
            || Lexicon.Pronouns.Contains(word.Text) || Lexicon.Relatives.Contains(word.Text));
        var foreign = words.Count(word => Lexicon.Foreign.Contains(word.Text));
        return foreign * 2 <= function && (words.Count < 5 || function * 12 >= words.Count);
    }

    private static string FirstWords(List<Word> words)
    {
        var first = words.SkipWhile(word => Lexicon.Foreign.Contains(word.Text)).ToList();
        var end = first.FindIndex(1 % Math.Max(1, first.Count), word => word.AfterComma || word.StartsSentence);
        return string.Join(' ', first.Take(Math.Min(6, end > 0 ? end : 6)).Select(word => word.Text));
    }

    private void Walk()
    {
        string? article = null;
        while (_at < _words.Count)
        {
            var word = _words[_at];
            if (word.StartsSentence && _at > 0)
            {
                // Whoever does something in a later sentence is no news; what is done is.
                (_role, _verbExpected, _aside, _doing) = (_profile.Venture is null && _profile.Offers.Count == 0 ? Role.Venture : Role.None,
                    false, false, null);
                _inActivity = false;
                article = null;
            }
            else if (word.AfterComma)
            {
                _aside = false;
                _inActivity = false;
                if (_role is Role.Place or Role.Means or Role.Channel)
                    _role = Role.Topic;
            }

            if (Lexicon.Articles.Contains(word.Lower))
            {
                article = word.Lower;
                _verbExpected = false;
                _at++;
            }
            else if (Lexicon.Pronouns.Contains(word.Lower) || Lexicon.Relatives.Contains(word.Lower))
            {
                // What customers are or want is not what the business is.
                _aside |= _lastRole == Role.Customer && word.Lower is "who" or "that" or "whose" or "so" or "because" or "when" or "while";
                (_verbExpected, _role) = (true, _role == Role.Venture && _profile.Venture is null ? Role.Venture
                    : word.Lower == "where" ? Role.CustomerOrTopic : Role.None);
                _at++;
            }
            else if (article is null && IsVerbHere(word))
            {
                Verb(word);
                _at++;
            }
            else if (Lexicon.Connectors.Contains(word.Lower) || Lexicon.Adverbs.Contains(word.Lower))
            {
                Connector(word);
                article = null;
                _at++;
            }
            else if (char.IsAsciiDigit(word.Text[0]) || word.Text.Length == 1)
            {
                _at++;
            }
            else
            {
                Phrase(article);
                article = null;
            }
        }
    }

    private bool IsVerbHere(Word word)
    {
        if (!Lexicon.IsVerb(word.Lower))
            return false;
        if (_verbExpected)
            return true;
        var sentenceVerb = word.StartsSentence && Lexicon.IsPlainlyVerb(word.Lower);
        return sentenceVerb || (Lexicon.IsPlainlyVerb(word.Lower) && _at > 0);
    }

    private void Verb(Word word)
    {
        _verbExpected = false;
        if (word.Lower is "want" or "need" or "wish" or "like" or "plan")
        {
            _wanting = true;
            return;
        }
        if (_inActivity)
        {
            _role = Role.Topic;
            return;
        }
        if (_aside && _wanting)
        {
            (_doing, _role) = (word.Lower, Role.Topic);
            return;
        }
        if (_profile.Venture is null && _role == Role.Venture && word.Lower is "open" or "start" or "run" or "own" or "launch" or "found"
            or "operate" or "opening" or "running" or "operating")
        {
            return;
        }

        _delivering = word.Lower.StartsWith("deliver", StringComparison.Ordinal) || word.Lower.StartsWith("ship", StringComparison.Ordinal);
        if (_lastRole == Role.Customer && !_aside && _doing is null && !word.Lower.EndsWith('s')
            && !word.Lower.EndsWith("ing", StringComparison.Ordinal))
        {
            (_doing, _role) = (word.Lower, Role.Topic);
            return;
        }
        _role = Lexicon.Connecting.Contains(word.Lower) || Lexicon.Helping.Contains(word.Lower) ? Role.CustomerOrOffer
            : Lexicon.Making.Contains(word.Lower) ? Role.Offer : Role.Topic;
        // "teaches", "serves" and the like take either.
        if (word.Lower is "teach" or "teaches" or "serve" or "serves" or "serving" or "teaching")
            _role = Role.CustomerOrOffer;
    }

    private void Connector(Word word)
    {
        var next = _at + 1 < _words.Count ? _words[_at + 1].Lower : "";
        var gerund = next.EndsWith("ing", StringComparison.Ordinal) && next.Length > 5;
        if (word.Lower is not ("and" or "or" or "&" or "to" or "also"))
            _doing = null;
        switch (word.Lower)
        {
            case "and" or "or" or "&" or "plus":
                _verbExpected = _inActivity ? Lexicon.IsVerb(next) 
                    : Lexicon.IsVerb(next) && (next.EndsWith('s') || gerund || _doing is not null)
                    && (Lexicon.IsPlainlyVerb(next) || _lastRole is Role.Offer or Role.Customer);
                break;
            case "for":
                _role = gerund ? Role.Topic : Role.CustomerOrTopic;
                _inActivity |= gerund;
                break;
            case "to":
                _verbExpected = Lexicon.IsVerb(next);
                if (_profile.Venture is not null || _profile.Offers.Count > 0)
                    _role = Role.CustomerOrTopic;
                break;
            case "with": _role = _role == Role.Customer ? Role.CustomerOrTopic : Role.Topic; break;
            case "between": _role = Role.CustomerOrTopic; break;
            case "by":
                _role = gerund ? Role.Topic : Role.Means;
                _inActivity |= gerund;
                break;
            case "in" or "at" or "near" or "around" or "across" or "throughout" or "inside":
                (_role, _preposition) = (Role.Place, word.Lower);
                break;
            case "from": _role = Role.None; break;
            case "via" or "through" or "on": _role = Role.Channel; break;
            case "is" or "are" when _profile is { Venture: not null, Name: null } && _lastRole == Role.Venture: _role = Role.Venture; break;
            case "can" or "could" or "will" or "may" or "might" or "must" or "should": _verbExpected = true; break;
            case "is" or "are" or "what" or "why" or "how" or "do" or "does": break;
            case "of": break;
            default: _role = Lexicon.Adverbs.Contains(word.Lower) ? _role : Role.Topic; break;
        }
    }
}
