using System.Buffers;
using System.Text.Json;

namespace ValueCanvas.InferenceProxy.Json;

/// <summary>
/// Walks over UTF-8 JSON as <see cref="Utf8JsonReader"/> does, and as strictly, but over strings at the speed of memory: that one goes byte
/// by byte through any string in which an escape stands, as one does in nearly every prompt.
/// </summary>
internal ref struct JsonWalker(ReadOnlySpan<byte> json)
{
    // Deeper than any tool's schema, and shallow enough that a hostile body costs nothing.
    private const int MaxDepth = 128;

    private static readonly SearchValues<byte> EndsRun =
        SearchValues.Create([.. Enumerable.Range(0, 0x20).Select(b => (byte)b), (byte)'"', (byte)'\\']);
    private static readonly SearchValues<byte> HexDigits = SearchValues.Create("0123456789abcdefABCDEF"u8);
    private static readonly SearchValues<byte> Escapes = SearchValues.Create("\"\\/bfnrt"u8);

    private readonly ReadOnlySpan<byte> _json = json;
    private UInt128 _objects; // a bit for each level: an object, or else an array
    private int _depth;
    private int _start;
    private int _at;
    private bool _escaped;

    public JsonTokenType TokenType { get; private set; }

    public readonly int TokenStartIndex => _start;

    /// <summary>Up to the end of the token.</summary>
    public readonly int BytesConsumed => _at;

    /// <summary>The token as it is written; of a string and a name what stands between the quotes.</summary>
    public readonly ReadOnlySpan<byte> ValueSpan =>
        TokenType is JsonTokenType.String or JsonTokenType.PropertyName ? _json[(_start + 1)..(_at - 1)] : _json[_start.._at];

    /// <summary>Whether it is a string or name in which an escape stands.</summary>
    public readonly bool ValueIsEscaped => _escaped && (TokenType is JsonTokenType.String or JsonTokenType.PropertyName);

    /// <summary>Reads the next token. False: the value is over, and nothing but space is behind it.</summary>
    /// <exception cref="JsonException">The JSON is malformed, or too deep; with the place that <see cref="Utf8JsonReader"/> would
    /// name.</exception>
    public bool Read()
    {
        SkipSpace();
        if (TokenType == JsonTokenType.PropertyName)
        {
            Expect(':');
            ReadValue();
        }
        else if (TokenType == JsonTokenType.None)
        {
            ReadValue();
        }
        else if (_depth == 0)
        {
            return _at < _json.Length ? throw Malformed() : false;
        }
        else
        {
            ReadMember();
        }

        return true;
    }

    /// <summary>Over the property's value, or the children of the array or object.</summary>
    public void Skip()
    {
        if (TokenType == JsonTokenType.PropertyName)
            Read();

        if (TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray)
        {
            for (var outside = _depth - 1; _depth > outside;)
                Read();
        }
    }

    public readonly bool ValueTextEquals(ReadOnlySpan<byte> text) =>
        _escaped ? Token().ValueTextEquals(text) : ValueSpan.SequenceEqual(text);

    /// <exception cref="InvalidOperationException">It holds half of a surrogate pair.</exception>
    public readonly string? GetString() => Token().GetString();

    private readonly Utf8JsonReader Token()
    {
        var token = new Utf8JsonReader(_json[_start.._at]);
        token.Read();
        return token;
    }

    private void ReadMember()
    {
        var isObject = (_objects & 1) != 0;
        var next = Next();
        if (next == (isObject ? '}' : ']'))
        {
            _start = _at++;
            _objects >>= 1;
            _depth--;
            TokenType = isObject ? JsonTokenType.EndObject : JsonTokenType.EndArray;
            return;
        }

        if (TokenType is not (JsonTokenType.StartObject or JsonTokenType.StartArray))
            Expect(',');

        if (isObject)
            ReadString(JsonTokenType.PropertyName);
        else
            ReadValue();
    }

    private void ReadValue()
    {
        switch (Next())
        {
            case (byte)'"':
                ReadString(JsonTokenType.String);
                break;
            case (byte)'{':
                Enter(JsonTokenType.StartObject);
                break;
            case (byte)'[':
                Enter(JsonTokenType.StartArray);
                break;
            case (byte)'t':
                ReadWord("true"u8, JsonTokenType.True);
                break;
            case (byte)'f':
                ReadWord("false"u8, JsonTokenType.False);
                break;
            case (byte)'n':
                ReadWord("null"u8, JsonTokenType.Null);
                break;
            default:
                ReadNumber();
                break;
        }
    }

    private void Enter(JsonTokenType start)
    {
        if (_depth == MaxDepth)
            throw Malformed();

        _start = _at++;
        _depth++;
        _objects = (_objects << 1) | (start == JsonTokenType.StartObject ? UInt128.One : UInt128.Zero);
        TokenType = start;
    }

    private void ReadString(JsonTokenType type)
    {
        if (Next() != '"')
            throw Malformed();

        (_start, TokenType, _escaped) = (_at++, type, false);
        while (true)
        {
            var run = _json[_at..].IndexOfAny(EndsRun);
            if (run < 0 || _json[_at += run] < 0x20)
                throw Malformed();

            if (_json[_at++] == '"')
                return;

            _escaped = true;
            var escape = Next();
            _at += Escapes.Contains(escape) ? 1
                : escape == 'u' && _json.Length - _at > 4 && !_json.Slice(_at + 1, 4).ContainsAnyExcept(HexDigits) ? 5
                : throw Malformed();
        }
    }

    private void ReadWord(ReadOnlySpan<byte> word, JsonTokenType type)
    {
        if (!_json[_at..].StartsWith(word))
            throw Malformed();

        (_start, _at, TokenType) = (_at, _at + word.Length, type);
    }

    private void ReadNumber()
    {
        (_start, TokenType) = (_at, JsonTokenType.Number);
        _at += Next() == '-' ? 1 : 0;
        if (Next() == '0')
            _at++;
        else
            ReadDigits();

        if (_at < _json.Length && _json[_at] == '.')
        {
            _at++;
            ReadDigits();
        }

        if (_at < _json.Length && (_json[_at] | 0x20) == 'e')
        {
            _at++;
            _at += Next() is (byte)'+' or (byte)'-' ? 1 : 0;
            ReadDigits();
        }
    }

    private void ReadDigits()
    {
        var (start, digits) = (_at, _json[_at..].IndexOfAnyExceptInRange((byte)'0', (byte)'9'));
        _at = digits < 0 ? _json.Length : start + digits;
        if (_at == start)
            throw Malformed();
    }

    private void SkipSpace()
    {
        while (_at < _json.Length && (_json[_at] is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t'))
            _at++;
    }

    private void Expect(char one)
    {
        if (Next() != one)
            throw Malformed();

        _at++;
        SkipSpace();
    }

    private readonly byte Next() => _at < _json.Length ? _json[_at] : throw Malformed();

    private readonly JsonException Malformed()
    {
        var reader = new Utf8JsonReader(_json, new JsonReaderOptions { MaxDepth = MaxDepth });
        try
        {
            while (reader.Read())
            {
            }
        }
        catch (JsonException e)
        {
            return e;
        }

        return new JsonException("The JSON is malformed.", null, 0, _at);
    }
}
