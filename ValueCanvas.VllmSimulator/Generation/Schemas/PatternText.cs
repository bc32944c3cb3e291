using System.Text;

namespace ValueCanvas.VllmSimulator.Generation.Schemas;

/// <summary>
/// A text that matches a regular expression: literals, classes, groups, alternatives, quantifiers and anchors; no look-around, no
/// back-reference. Repeats are as few as the pattern allows, or more where a minimum length asks for it.
/// </summary>
internal sealed class PatternText
{
    private const int MaxLength = 100_000;
    private readonly string _pattern;
    private readonly int _extra;
    private readonly int _pick;
    private readonly StringBuilder _text = new();
    private int _at;

    private PatternText(string pattern, int extra, int pick)
    {
        _pattern = pattern;
        _extra = extra;
        _pick = pick;
    }

    public static string Of(string pattern, int least, int most, int index)
    {
        string? found = null;
        // More and more repeats until the text is long enough; the first that matches and fits wins.
        for (var extra = index % 3; extra <= Math.Min(least, 2_000) + 3; extra++)
        {
            var text = new PatternText(pattern, extra, index).Generate();
            if (!Patterns.IsMatch(pattern, text))
                continue;
            found ??= text;
            if (text.Length >= least && text.Length <= most)
                return text;
        }
        // An unanchored pattern matches anywhere, so the rest may be filled up.
        if (found is not null && found.Length < least && Patterns.IsMatch(pattern, found.PadRight(least, found[^1])))
            return found.PadRight(least, found[^1]);
        return found is not null && found.Length >= least && found.Length <= most
            ? found
            : throw new UnsupportedSchemaException($"No text could be made for the schema's pattern '{pattern}' and its length bounds.");
    }

    private string Generate()
    {
        try
        {
            Alternatives();
        }
        catch (IndexOutOfRangeException)
        {
            throw new UnsupportedSchemaException($"The schema's pattern '{_pattern}' is not a complete regular expression.");
        }
        return _text.ToString();
    }

    // The branch is chosen first, the others are read over.
    private void Alternatives()
    {
        var branches = new List<(int Start, int End)>();
        var start = _at;
        var end = Skip(branches, start);
        var (from, to) = branches[_pick % branches.Count];
        _at = from;
        while (_at < to)
            Quantified();
        _at = end;
    }

    // Finds the end of this group and where its branches are.
    private int Skip(List<(int Start, int End)> branches, int start)
    {
        var depth = 0;
        var i = start;
        for (; i < _pattern.Length; i++)
        {
            var c = _pattern[i];
            if (c == '\\')
            {
                i++;
            }
            else if (c == '[')
            {
                i = EndOfClass(i);
            }
            else if (c == '(')
            {
                depth++;
            }
            else if (c == ')' && depth-- == 0)
            {
                break;
            }
            else if (c == '|' && depth == 0)
            {
                branches.Add((start, i));
                start = i + 1;
            }
        }
        branches.Add((start, Math.Min(i, _pattern.Length)));
        return Math.Min(i, _pattern.Length);
    }

    private int EndOfClass(int at)
    {
        var i = at + 1;
        if (i < _pattern.Length && _pattern[i] == '^')
            i++;
        if (i < _pattern.Length && _pattern[i] == ']')
            i++;
        while (i < _pattern.Length && _pattern[i] != ']')
            i += _pattern[i] == '\\' ? 2 : 1;
        return i;
    }

    private void Quantified()
    {
        var start = _at;
        var length = _text.Length;
        Atom();
        var (least, most) = Quantifier();
        var after = _at;
        if (least == 0 && most > 0 && _extra == 0)
        {
            _text.Length = length;
            return;
        }
        var times = (int)Math.Clamp((long)least + (most > least ? _extra : 0), Math.Min(1, most), most);
        if (times == 0)
            _text.Length = length;
        for (var i = 1; i < times && _text.Length < MaxLength; i++)
        {
            _at = start;
            Atom();
        }
        _at = after;
    }

    private (int Least, int Most) Quantifier()
    {
        if (_at >= _pattern.Length)
            return (1, 1);

        var result = (1, 1);
        switch (_pattern[_at])
        {
            case '*': result = (0, int.MaxValue); _at++; break;
            case '+': result = (1, int.MaxValue); _at++; break;
            case '?': result = (0, 1); _at++; break;
            case '{' when _pattern.IndexOf('}', _at) is var close and > 0:
                var bounds = _pattern[(_at + 1)..close].Split(',');
                if (!int.TryParse(bounds[0], out var least))
                    return result;
                var most = bounds.Length == 1 ? least : int.TryParse(bounds[1], out var upper) ? upper : int.MaxValue;
                result = (least, most);
                _at = close + 1;
                break;
            default: return result;
        }
        if (_at < _pattern.Length && _pattern[_at] is '?' or '+')
            _at++;
        return result;
    }

    private void Atom()
    {
        var c = _pattern[_at++];
        switch (c)
        {
            case '^' or '$': break;
            case '.': _text.Append('a'); break;
            case '(': Group(); break;
            case '[': Class(); break;
            case '\\': Escape(_pattern[_at++]); break;
            default: _text.Append(c); break;
        }
    }

    private void Group()
    {
        if (_pattern[_at] == '?')
        {
            var lookAround = _pattern[_at + 1] is '=' or '!' || (_pattern[_at + 1] == '<' && _pattern[_at + 2] is '=' or '!');
            if (lookAround)
                throw new UnsupportedSchemaException("The schema's pattern has look-around, which is not supported.");
            _at = _pattern[_at + 1] == ':' ? _at + 2 : _pattern.IndexOf('>', _at) + 1;
        }
        Alternatives();
        _at++;
    }

    private void Escape(char c)
    {
        switch (c)
        {
            case 'd': _text.Append((char)('1' + (_text.Length + _pick) % 9)); break;
            case 'w': _text.Append((char)('a' + (_text.Length + _pick) % 26)); break;
            case 's': _text.Append(' '); break;
            case 'D' or 'W' or 'S': _text.Append(c == 'W' ? '-' : 'x'); break;
            case 'b' or 'B': break;
            case 'n': _text.Append('\n'); break;
            case 't': _text.Append('\t'); break;
            case 'u':
                _text.Append((char)Convert.ToInt32(_pattern.Substring(_at, 4), 16));
                _at += 4;
                break;
            default: _text.Append(c); break;
        }
    }

    private void Class()
    {
        var end = EndOfClass(_at - 1);
        var content = _pattern[_at..end];
        _at = end + 1;
        const string candidates = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-. @#:/+,;!?%&*()='\"<>[]{}|~^$`\\";
        var start = (_text.Length * 7 + _pick) % 62;
        for (var i = 0; i < candidates.Length; i++)
        {
            var candidate = candidates[(start + i) % candidates.Length];
            if (Patterns.IsMatch($"^[{content}]$", candidate.ToString()))
            {
                _text.Append(candidate);
                return;
            }
        }
        _text.Append(content.Length > 0 && content[0] != '^' ? content[0] : 'é');
    }
}
